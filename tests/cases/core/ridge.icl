program ridge(d, steps = 12, ridge = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

A = rtw(ridge * identity(d) + sum[j in y](outer(u[j], u[j])))
b = rtw(sum[j in y](mul(y[j], u[j])))
M_1 = affine(sum(identity(d) * A))
M = div(identity(d), M_1)
repeat steps
    M_2 = dot(M, A)
    M_3 = dot(M_2, M)
    M = affine(2 * M - M_3)

at x
    output_1 = dot(M, b)
    output dot(output_1, x)
