program p(d)

tokens (x y)* q  visible context
    x : vector[d]
    y : scalar

at x
    u = move x from previous 2
    v = move x from previous 0.5
    w = move x from previous 100
output 1
