program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

W : matrix[d, 2] = 0
a = concat(w)
b = concat(W, w)
c = concat(W, identity(d))
e = [w, [1, 2]]
f = [W, W]

at x
    output dot(w, x)
