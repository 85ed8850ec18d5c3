program puzzle_4(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output sum[j in y](y[j] * dot(x, u[j]))
