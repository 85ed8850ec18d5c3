# What comes late is better multiplied: a head that keeps it would take one layer more.
program compare()

tokens (y)*
    x : scalar on y in [-1, 1]
    y : scalar in [-1, 1]

output (x > 0) * mean[j in y](y[j])
