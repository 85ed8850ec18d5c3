# Two products in a row are linear in P.
program invariant()

tokens (y)*
    u : vector[2] on y in [-1, 1]

P : matrix[2, 2] = identity(2)
w : scalar = 0
scan y up to 3
    P = P - 0.1 * outer(P @ u, u)
    w = w + dot(u, P @ u)
output w
