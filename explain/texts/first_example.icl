# Ridge regression on the first example alone: what one layer of attention can pair by position.
program first_example(d, ridge = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at x
    a = move x from first x
    b = move y from first y
    output b * dot(a, x) / (ridge + dot(a, a))
