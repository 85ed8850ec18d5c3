# The same read as a head of linear attention.
program heads()

tokens (y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

at x
    output mean[j in y]((x - y[j]) * y[j])
