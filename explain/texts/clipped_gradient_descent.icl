# Gradient descent whose slope is cut to a length.
program clipped_gradient_descent(d, steps = 2, rate = 0.1, most = 1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    g = mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    w = w - rate * most / max(most, sqrt(dot(g, g) + 1e-12)) * g

at x
    output dot(w, x)
