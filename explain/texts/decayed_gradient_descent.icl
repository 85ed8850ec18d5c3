# Gradient descent whose w decays with each step: weight decay, or a ridge.
program decayed_gradient_descent(d, steps = 2, rate = 0.1, decay = 0.9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w = decay * w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])

at x
    output dot(w, x)
