tokens (x y)* x
    x : vector[d]
