program syntax_move_before_last(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
W : matrix[d, d] = identity(d)
at x
    a = move x from previous x 2
    b = move x from previous previous
    c = move x from last 2
    e = move x from second last x
at x
    output dot(w, x)
