program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

W : matrix[2, d] = 0
a = transpose(w)
b = diag(W)
c = row_sums(transpose(3))

at x
    output dot(w, x)
