# P stays symmetric.
program pack_symmetric()

tokens (y)*
    u : vector[2] on y in [-1, 1]

P : matrix[2, 2] = identity(2)
scan y up to 3
    P = 0.5 * P + outer(u, u)
output sum(P)
