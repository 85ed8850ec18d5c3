program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

for k in d
    w = w + 1
if rate > 1
    w = w + 1
scan y
    w = w + u
let a = 2
return w

at x
    output dot(w, x)
