program gradient_descent_alternating(d, steps = 1, rate = 0.1)

tokens (x y)* x  visible context
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    r = y
at x
    p = 0

repeat steps
    at x
        p = rtw(p + rate * mean[j in y](mul(dot(x, u[j]), r[j])))
    at y
        r = rtw(r - rate * mean[j in y](mul(dot(u, u[j]), r[j])))

at x
    output p
