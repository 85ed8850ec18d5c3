# A scan that reads the context, has a loop inside, and starts from values that differ from token to token.
program scans(d = 2, length = 9)

tokens start (x y)* x
    a : vector[d] on start
    x : vector[d]
    y : scalar

at x
    w = x
at y
    w = move x from previous
    u = w
at start
    w = a
z = w
scan y up to length
    m = mean[j in y](dot(w, u[j]) * exp(u[j])) + sum[j in x](x[j] ^ 2)
    repeat 2
        w = 0.5 * w + 0.1 * m
    q = y * w
    z = z + q
scan x up to length
    z = 0.5 * z + w
at y
    p = q

output z + mean[j in y](p[j]) + w
