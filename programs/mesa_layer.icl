# Least squares on sₜ₊₁ = W sₜ, exact at every prefix.
# Source: von Oswald et al. 2023, "Uncovering mesa-optimization algorithms in transformers",
# the mesa-layer (arXiv 2309.05858).
program mesa_layer(d, length = 50, ridge = 0.1)

tokens (s)*
    s : vector[d]

p = move s from previous               # 0 at the first token, which then teaches nothing
P : matrix[d, d] = identity(d) / ridge
B : matrix[d, d] = 0
scan s up to length
    q = P @ p
    P = P - outer(q, q) / (1 + dot(p, q))
    B = B + outer(s, p)

output B @ (P @ s)
