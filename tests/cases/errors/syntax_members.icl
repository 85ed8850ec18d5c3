program syntax_members(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
W : matrix[d, d] = identity(d)
a = W.T
b = w.sum()
c = w / ||w||
w += 1
loop 3
    w = 2 * w
at x
    output dot(w, x)
