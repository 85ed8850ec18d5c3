program faulty(d)

tokens (x)*
    x : vector[d]
