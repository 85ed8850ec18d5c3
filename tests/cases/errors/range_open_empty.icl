program range_open_empty(rate = 0.5 in (5, 1))

tokens (x)*
    x : scalar

output rate * x
