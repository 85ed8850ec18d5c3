# Logistic regression by gradient descent, labels 0 or 1.
# Source: Bai et al. 2023, "Transformers as statisticians: provable in-context learning with
# in-context algorithm selection", generalized linear models (arXiv 2306.04637).
program logistic_regression(d, steps = 10, rate = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps
    at example
        e = sigmoid(dot(w, x)) - y
    w = w - rate * mean[j in example](e[j] * x[j])

at query
    output sigmoid(dot(w, x))
