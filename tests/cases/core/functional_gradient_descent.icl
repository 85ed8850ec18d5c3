program functional_gradient_descent(d, steps = 10, rate = 0.5, width = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

at example
    r = y
at query
    r = 0

repeat steps
    r = rtw(r - rate * softmax[j in example](dot(x, x[j]) / width ^ 2, r[j]))

at query
    output affine(-r)
