# A value's slots serve the next one when its last reader has read.
program reuse()

tokens (x)*
    x : vector[3] in [-1, 1]

a = move x from previous
b = a * x
c = move b from previous
output c * b
