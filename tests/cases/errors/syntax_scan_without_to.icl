program syntax_scan_without_to(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
W : matrix[d, d] = identity(d)
scan y up 3
    w = u
at x
    output dot(w, x)
