# Ridge regression towards a w that is not 0: the mean of w given the examples, where that was its mean before.
program ridge_towards(d, ridge = 0.1, start : vector[d] = identity(d)[1])
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

A = ridge * identity(d) + sum[j in y](outer(u[j], u[j]))

at x
    output dot(start + solve(A, sum[j in y]((y[j] - dot(start, u[j])) * u[j])), x)
