program associative_memory(d, steps = 1, beta = 8)

tokens (pattern)* query  visible context
    x : vector[d] on pattern, query

z = x
repeat steps
    z = rtw(softmax[j in pattern](beta * dot(z, x[j]), x[j]))

at query
    output z
