program kernel_regression(d, width = 0.5)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output rtw(softmax[j in y](-dot(x - u[j], x - u[j]) / (2 * width ^ 2), y[j]))
