# Ridge regression with an intercept, which is not penalised: on deviations from the means.
program ridge_with_intercept(d, ridge = 0.1)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

m = mean[j in y](u[j])
b = mean[j in y](y[j])
A = ridge * identity(d) + sum[j in y](outer(u[j] - m, u[j] - m))

at x
    output b + dot(solve(A, sum[j in y]((y[j] - b) * (u[j] - m))), x - m)
