# Logistic regression with a ridge by Newton's method, itself inverting by Newton.
# Source: Giannou et al. 2024, "How well can transformers emulate in-context Newton's method?"
# (arXiv 2403.03183).
program newton_logistic(d, steps = 5, inner = 12, ridge = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps
    at example
        p = sigmoid(dot(w, x))
    g = ridge * w + mean[j in example]((p[j] - y[j]) * x[j])
    H = ridge * identity(d) + mean[j in example](p[j] * (1 - p[j]) * outer(x[j], x[j]))
    M = identity(d) / sum(identity(d) * H)
    repeat inner
        M = 2 * M - M @ H @ M
    w = w - M @ g

at query
    output sigmoid(dot(w, x))
