# Ridge regression with an intercept that is penalised too: a kernel `intercept + x·x'`.
program ridge_with_penalised_intercept(d, ridge = 0.1, intercept = 1)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    v = [u, sqrt(intercept)]

A = ridge * identity(d + 1) + sum[j in y](outer(v[j], v[j]))

at x
    output dot(solve(A, sum[j in y](y[j] * v[j])), [x, sqrt(intercept)])
