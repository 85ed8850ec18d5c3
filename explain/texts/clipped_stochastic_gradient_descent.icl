# One pass of SGD on half the squared error whose slopes are cut to a length.
program clipped_stochastic_gradient_descent(d, examples = 40, rate = 0.1, most = 1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    g = (dot(w, u) - y) * u
    w = w - rate * most / max(most, sqrt(dot(g, g) + 1e-12)) * g

at x
    output dot(w, x)
