# Ridge regression, its inverse by Newton's iteration.
# Source: Schulz 1933, "Iterative Berechnung der reziproken Matrix", ZAMM 13; in context: Fu et al.
# 2023 (arXiv 2310.17086) and Giannou et al. 2023, "Looped transformers as programmable
# computers" (arXiv 2301.13196).
program ridge(d, steps = 12, ridge = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

A = ridge * identity(d) + sum[j in y](outer(u[j], u[j]))
b = sum[j in y](y[j] * u[j])
M = identity(d) / sum(identity(d) * A)  # I / trace(A): a start that always converges
repeat steps
    M = 2 * M - M @ A @ M

at x
    output dot(M @ b, x)
