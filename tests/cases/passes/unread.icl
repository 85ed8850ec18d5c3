# From w = 0 one step reads the mean of y u, and not that of u ⊗ u.
program unread()

tokens (x y)* x
    x : vector[2]
    y : scalar

at y
    u = move x from previous
w : vector[2] = 0
repeat 1
    w = w - 0.1 * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
at x
    output dot(w, x)
