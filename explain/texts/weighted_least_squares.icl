# Ridge regression in which exp(recency) weighs each example against the one before it.
program weighted_least_squares(d, ridge = 0.1, recency = 0)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    place = sum[k in y](1)

n = sum[j in y](1)
A = ridge * identity(d) + sum[j in y](exp(recency * (place[j] - n)) * outer(u[j], u[j]))

at x
    output dot(solve(A, sum[j in y](exp(recency * (place[j] - n)) * y[j] * u[j])), x)
