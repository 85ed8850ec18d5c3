program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

a = w < 1 and [1, 0] > rate
b = w == [1, 2]
c = not dot(w, 1) or w

at x
    output dot(w, x)
