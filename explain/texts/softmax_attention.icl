# The labels weighed by softmax attention of the query to the inputs.
program softmax_attention(d, scale = 1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

at x
    output softmax[j in y](scale * dot(x, u[j]), y[j])
