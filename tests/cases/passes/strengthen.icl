# r is carried, and x * r too.
program strengthen()

tokens (x y)* x
    x : vector[2] in [-1, 1]
    y : scalar in [-1, 1]

at y
    u = move x from previous
b = mean[j in y](y[j] * u[j])
at y
    r = y
at x
    r = 0
repeat 3
    r = r - 0.1 * dot(mean[j in y](r[j] * u[j]), b)
output r
