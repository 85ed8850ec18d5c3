program fast_weights(d, m, length = 40)

tokens (token)*
    k : vector[d] on token in [-1, 1]
    v : vector[m] on token
    q : vector[d] on token
    beta : scalar on token in [0, 1]

W : matrix[m, d] = 0
scan token up to length
    W_1 = dot(W, k)
    W_2 = affine(v - W_1)
    W_3 = outer(W_2, k)
    W_4 = mul(beta, W_3)
    W = affine(W + W_4)

output dot(W, q)
