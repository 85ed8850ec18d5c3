# One pass of SGD on the squared error, one update a label.
# Source: Akyürek et al. 2022, "What learning algorithm is in-context learning?",
# Theorem 1, equation 11 (arXiv 2211.15661).
program stochastic_gradient_descent(d, examples = 40, rate = 0.01, decay = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w = w - 2 * rate * ((dot(w, u) - y) * u + decay * w)

at x
    output dot(w, x)
