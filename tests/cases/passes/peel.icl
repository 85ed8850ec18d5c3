# From w = 0 the first pass has no product.
program peel()

tokens (x)*
    x : scalar in [-1, 1]

m = mean[j in x](x[j])
w : scalar = 0
repeat 3
    w = w - 0.1 * (w * m - m)
output w
