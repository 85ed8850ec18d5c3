# Momentum: a layer of linear attention cannot scale what a token holds.
program unroll()

tokens (y)*
    x : vector[2] on y in [-1, 1]
    y : scalar in [-1, 1]

r = y
v : scalar = 0
repeat 2
    v = 0.9 * v - mean[j in y](dot(x[j], x) * r[j])
    r = r + v
output r
