program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

w : vector[d] = 0

at y
    v = w + x

at x
    output dot(w, x)
