# Ridge regression, exact at every prefix, by the Sherman–Morrison formula.
# Source: Akyürek et al. 2022, "What learning algorithm is in-context learning?",
# Theorem 2 (arXiv 2211.15661).
program sherman_morrison(d, examples = 40, ridge = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

P : matrix[d, d] = identity(d) / ridge
w : vector[d] = 0
scan y up to examples                  # what is assigned here flows from each y token to the next
    q = P @ u
    s = 1 + dot(u, q)
    w = w + q * (y - dot(w, u)) / s    # carried: P @ b would amplify rounding by 1/ridge
    P = P - outer(q, q) / s

at x
    output dot(w, x)
