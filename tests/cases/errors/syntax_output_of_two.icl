program syntax_output_of_two(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
W : matrix[d, d] = identity(d)
output w, d
output (w, d)
