# A modern Hopfield network: the stored pattern that a query recalls.
# Source: Ramsauer et al. 2020, "Hopfield networks is all you need", equation 3 (arXiv 2008.02217):
# one softmax read is one update, ξ ← X softmax(β Xᵀξ).
program associative_memory(d, steps = 1, beta = 8)

tokens (pattern)* query  visible context
    x : vector[d] on pattern, query

z = x
repeat steps
    z = softmax[j in pattern](beta * dot(z, x[j]), x[j])

at query
    output z
