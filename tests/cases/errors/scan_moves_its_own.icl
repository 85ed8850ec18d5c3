program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

scan y up to 40
    w = w + move w from previous

at x
    output dot(w, x)
