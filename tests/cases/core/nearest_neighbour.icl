program nearest_neighbour(d, sharpness = 1e5)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output rtw(softmax[j in y](-sharpness * dot(x - u[j], x - u[j]), y[j]))
