# A divisor of theirs, in a read that mixes mine and theirs.
program quotients()

tokens (y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]
    s : scalar on y in [1, 2]

at x
    output mean[j in y](x * y[j] / s[j])
