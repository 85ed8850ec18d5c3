# Gradient descent from a w that is not 0.
program gradient_descent_from(d, steps = 1, rate = 0.1, start : vector[d] = identity(d)[1])

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = start
repeat steps
    w = w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])

at x
    output dot(w, x)
