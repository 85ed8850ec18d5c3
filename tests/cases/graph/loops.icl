# Loops in loops, a name that only a loop assigns, and one that it leaves alone.
program loops(d = 2, outer_steps = 2, none = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

w : vector[d] = 0.5
k : scalar = 1
repeat outer_steps
    k = k + 1
    b = 0.1 * k * mean[j in y](y[j]) * w
    repeat 2
        w = w - 0.1 * w + b
    t = sum(w)
repeat none
    w = 2 * w
repeat 1
    k = 3

output t + k + dot(w, w)
