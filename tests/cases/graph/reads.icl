# Every sort of read: counts, mine alone, theirs alone, mixed by each operation, one read inside another.
program reads(d = 2)

tokens (x y)* x
    x : vector[d]
    y : scalar

v : vector[d] = 2
at y
    u = move x from previous
at x
    n = sum[j in y](1)
    one = mean[j in y](1)
    mine = mean[j in y](relu(x)) + sum[j in y](3 * x)
    theirs = sum[j in x](tanh(x[j]) - x[j] * max(x[j], 0.5))
    mixed = mean[j in y]((relu(x) - u[j]) ^ 3 * y[j] - outer(x, u[j]) @ v / (1 + y[j] ^ 2))
    inner = sum[j in y](dot(mean[i in y](y[i] * u[i]), u[j]) * abs(x) + sum(u[j] * x))
    over = mean[j in x]((x - x[j]) / exp(x[j]))
    close = softmax[j in y](-dot(x - u[j], x - u[j]), u[j] * (1 + y[j]) + x)
    output mine + theirs + mixed + inner + over + close + n + one
