# The first update starts from 0.
program head_start()

tokens (x y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

at y
    u = move x from previous
w : scalar = 0
scan y up to 3
    w = w - 0.1 * (w * u - y) * u
at x
    output w * x
