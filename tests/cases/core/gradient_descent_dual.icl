program gradient_descent_dual(d, steps = 1, rate = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

at example
    r = y
at query
    r = 0

repeat steps
    r = rtw(r - rate * mean[j in example](mul(dot(x, x[j]), r[j])))

at query
    output affine(-r)
