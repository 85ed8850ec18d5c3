program p(d)

tokens (x y)* q  visible context
    x : vector[d]
    y : scalar

at y
    u = move x from previous 2
output 1
