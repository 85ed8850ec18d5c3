program puzzle_10(d, examples = 8, rate = 0.3, penalty = 0.2)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

def shrink(v, t) = relu(v - t) - relu(-v - t)

w : vector[d] = 0
scan y up to examples
    w = shrink(w + rate * (y - dot(w, u)) * u, rate * penalty)

at x
    output dot(w, x)
