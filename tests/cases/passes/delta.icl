# One pass of normalised LMS, and what is left of a matrix that is written once more.
program delta()

tokens (x y)* x
    x : vector[2]
    y : scalar

at y
    u = move x from previous

w : vector[2] = 0
scan y up to 4
    w = w + 0.5 * (y - dot(w, u)) * u / (1 + dot(u, u))

at x
    output dot(w, x)
