# A sum, by heads that average.
program legalise()

tokens (y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

at x
    output x + sum[j in y](y[j])
