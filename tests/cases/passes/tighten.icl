# A pass of the loop stands by itself, where its sublayers need not alternate with those of the next.
program tighten()

tokens (y)*
    y : scalar in [-1, 1]

w : scalar = 0
v : scalar = 0
repeat 3
    v = 0.5 * v + mean[j in y](y[j] * w + y[j])
    w = w + v
output w
