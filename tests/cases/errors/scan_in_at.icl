program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

at y
    scan y up to 40
        w = w + u
scan y up to 40
    repeat steps
        scan y up to 40
            w = w + u

at x
    output dot(w, x)
