# A sum of multiples of y is one multiple.
program simplify()

tokens (y)*
    x : vector[2] on y in [-1, 1]
    y : scalar in [-1, 1]

r = y - (1 + 2) * y
s = y - 3 * y
output mean[j in y](dot(x[j], x) * (r[j] + s[j]))
