program faulty(d, rate = x)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

at x
    output dot(w, x)
