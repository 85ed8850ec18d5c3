# What a comparison multiplies.
program keep()

tokens (y)*
    x : scalar on y in [-1, 1]
    y : scalar in [-1, 1]

output (x > 0) * y
