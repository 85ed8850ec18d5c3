program faulty(d, steps = 40)

tokens (x y)* x  visible context
    x : vector[d]
    y : scalar

g : vector[d] = 0
scan x backwards up to steps
    g = x + g / 2

output g
