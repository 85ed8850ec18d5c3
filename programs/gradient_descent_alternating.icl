# Gradient descent that moves the labels, on alternating tokens.
# Source: von Oswald et al. 2022, "Transformers learn in-context by gradient descent",
# Proposition 3 (arXiv 2212.07677): a layer copies inputs to their labels, then one is one step.
program gradient_descent_alternating(d, steps = 1, rate = 0.1)

tokens (x y)* x  visible context
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    r = y                              # the residual of the example
at x
    p = 0                              # the prediction

repeat steps
    at x
        p = p + rate * mean[j in y](dot(x, u[j]) * r[j])
    at y
        r = r - rate * mean[j in y](dot(u, u[j]) * r[j])

at x
    output p
