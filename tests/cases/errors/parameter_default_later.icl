program faulty(d, rate = 2 * steps, steps = 1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

at x
    output dot(w, x)
