program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[0]
    y : scalar

at y
    u = move x from previous

output 1
