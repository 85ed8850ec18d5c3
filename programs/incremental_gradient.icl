# Epochs of SGD over the examples in order, at a rate of their own each.
# Source: Bertsekas 2011, "Incremental gradient, subgradient, and proximal methods for convex
# optimization: a survey", section 1 (arXiv 1507.01030).
program incremental_gradient(d, epochs = 3, examples = 20, rates : vector[epochs] = 0.05)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat epochs as k
    w = move w from last example       # where the epoch before ended
    scan example up to examples
        w = w - rates[k] * (dot(w, x) - y) * x

at query
    output dot(w, x)
