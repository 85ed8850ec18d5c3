program faulty(d, steps = 1, rate = 1 in (0, 1), m = 2 in [3, 1], k = 1 in (0, n), e = 2 in [2, d), f = 0.5 in [1, 2])

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

at x
    output dot(w, x)
