program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : list[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

at x
    output dot(w, x)
