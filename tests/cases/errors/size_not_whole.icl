program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d / 2]
    y : scalar

at y
    u = move x from previous

output 1
