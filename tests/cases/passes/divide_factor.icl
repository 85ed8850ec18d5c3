# The product is ready later than what divides it.
program divide_factor()

tokens (y)*
    a : scalar on y in [-1, 1]
    s : scalar on y in [1, 2]

b = exp(a * a)
output a * b / s
