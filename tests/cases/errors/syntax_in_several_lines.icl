program in_several_lines(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

w = dot(x,
        x) + ?
v = dot(x, !
        x)
output w
