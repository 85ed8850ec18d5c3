program faulty(d, steps = 40)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    g = 0
scan y backwards up to steps
    g = y + g / 2

at x
    output 0
