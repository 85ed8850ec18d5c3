# A vector as divisor.
program components()

tokens (x)*
    x : vector[2] in [1, 2]

output 1 / x
