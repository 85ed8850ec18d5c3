program iterative_newton(d, steps = 10)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

S = rtw(mean[j in y](outer(u[j], u[j])))
b = rtw(mean[j in y](mul(y[j], u[j])))
M_1 = mul(S, S)
M_2 = affine(sum(M_1))
M = div(S, M_2)
repeat steps
    M_3 = dot(M, S)
    M_4 = dot(M_3, M)
    M = affine(2 * M - M_4)

at x
    output_1 = dot(M, b)
    output dot(output_1, x)
