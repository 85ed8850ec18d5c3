# Ridge regression on one example, the mean of all: exp(recency) weighs each against the one before it.
program pooled_least_squares(d, ridge = 0.1, recency = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    place = sum[j in y](1)

at x
    a = softmax[j in y](recency * place[j], u[j])
    b = softmax[j in y](recency * place[j], y[j])
    output b * dot(a, x) / (ridge + dot(a, a))
