program read_exp_of_vectors(d)

tokens (x)* q
    x : vector[d]
    q : vector[d]

at q
    output sum[j in x](exp(q - x[j]))
