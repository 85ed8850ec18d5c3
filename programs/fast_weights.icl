# Fast weights: a matrix that the delta rule writes and a query reads.
# Source: Schlag et al. 2021, "Linear transformers are secretly fast weight programmers"
# (arXiv 2102.11174): W ← W + β (v − W k) kᵀ, the rule of Widrow & Hoff 1960.
program fast_weights(d, m, length = 40)

tokens (token)*
    k : vector[d] on token             # key, value, query and rate of writing
    v : vector[m] on token
    q : vector[d] on token
    beta : scalar on token

W : matrix[m, d] = 0
scan token up to length
    W = W + beta * outer(v - W @ k, k)

output W @ q
