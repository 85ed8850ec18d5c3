# A mean over another: both as the sums that they are of, by a count that is 0 where no y is positive.
program counts()

tokens (y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

at x
    output mean[j in y]((y[j] > 0) * y[j]) / mean[j in y](y[j] > 0)
