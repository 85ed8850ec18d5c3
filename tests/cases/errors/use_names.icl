program faulty(d, steps = 1, rate = 0.1)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

def trace(A) = A
B = solve(w, w)
C = inverse(2)
e = solve(w)

at x
    output dot(w, x)
