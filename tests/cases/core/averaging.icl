program averaging(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output rtw(mean[j in y](mul(y[j], dot(u[j], x))))
