# Gradient descent in a space of functions, the kernel being softmax attention.
# Source: Cheng et al. 2023, "Transformers implement functional gradient descent to learn
# non-linear functions in context" (arXiv 2312.06528).
program functional_gradient_descent(d, steps = 10, rate = 0.5, width = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

at example
    r = y
at query
    r = 0

repeat steps
    r = r - rate * softmax[j in example](dot(x, x[j]) / width ^ 2, r[j])

at query
    output -r
