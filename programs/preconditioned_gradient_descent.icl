# Gradient descent through a fixed matrix, what trained linear layers learn.
# Source: Ahn et al. 2023, "Transformers learn to implement preconditioned gradient descent for
# in-context learning" (arXiv 2306.00297).
program preconditioned_gradient_descent(d, steps = 1, A : matrix[d, d] = identity(d))

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w = w - A @ grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))

at x
    output dot(w, x)
