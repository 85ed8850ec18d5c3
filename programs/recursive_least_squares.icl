# Recursive least squares that forgets: an example n labels ago weighs fⁿ.
# Source: Haykin 2002, "Adaptive filter theory", 4th edition, chapter 9.
program recursive_least_squares(d, examples = 40, ridge = 0.1, forget = 0.98)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

P : matrix[d, d] = identity(d) / ridge
w : vector[d] = 0
scan y up to examples
    q = P @ u
    s = forget + dot(u, q)
    w = w + (y - dot(w, u)) * q / s
    P = (P - outer(q, q) / s) / forget

at x
    output dot(w, x)
