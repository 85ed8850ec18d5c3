# The averaging estimator w = Xᵀy/n, a baseline of in-context learning.
# Source: Garg et al. 2022, "What can transformers learn in-context? A case study of simple
# function classes" (arXiv 2208.01066).
program averaging(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output mean[j in y](y[j] * dot(u[j], x))
