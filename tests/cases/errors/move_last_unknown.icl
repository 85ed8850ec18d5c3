program p(d)

tokens (x y)* q  visible context
    x : vector[d]
    y : scalar

v = move x from last z
output 1
