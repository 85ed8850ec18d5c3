# The posterior mean over m known tasks, the rows of a matrix.
# Source: Raventós et al. 2023, "Pretraining task diversity and the emergence of non-Bayesian
# in-context learning for regression", the estimator dMMSE (arXiv 2306.15063).
program bayes_model_average(d, m, known : matrix[m, d], noise = 0.25)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    e = (known @ u - y) ^ 2

at x
    p = softmax(-sum[j in y](e[j]) / (2 * noise))
    output dot(p, known @ x)
