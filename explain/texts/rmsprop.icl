# RMSProp, of rates that fall with the root mean square of each component's slopes.
program rmsprop(d, steps = 2, rate = 0.1, decay = 0.9, epsilon = 0.01)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
s : vector[d] = 0
repeat steps
    g = mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    s = decay * s + (1 - decay) * g * g
    w = w - rate * g / (sqrt(s) + epsilon)

at x
    output dot(w, x)
