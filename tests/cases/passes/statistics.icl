# A read that mixes mine and theirs: what is theirs is gathered.
program statistics()

tokens (y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

at x
    output mean[j in y]((x - y[j]) * y[j])
