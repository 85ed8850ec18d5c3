# Two products that do not wait for each other share a sublayer.
program two_dots()

tokens (x)*
    x : vector[2] in [-1, 1]

p = move x from previous
output dot(p, x) + dot(x, x)
