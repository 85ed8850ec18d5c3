program faulty(d, m, A : vector[m], rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

v = w + A

at x
    output dot(w, x)
