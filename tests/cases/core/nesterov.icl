program nesterov(d, steps = 10, rate = 0.05, momentum = 0.9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
v : vector[d] = 0
repeat steps
    ahead = affine(w + momentum * v)
    v = rtw(momentum * v - rate * mean[j in y](mul(dot(ahead, u[j]) - y[j], u[j])))
    w = affine(w + v)

at x
    output dot(w, x)
