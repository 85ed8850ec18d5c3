program ar_mesa_optimizer(d, rate = 0.2)

tokens start (step)*
    x : matrix[d, 2] on start, step

i = [[0, 1], [-1, 0]]
at step
    p = move x from previous
    q = affine(p @ i)
    z = affine(x @ i)
    output rtw(rate * mean[j in step](mul(sum(mul(p[j], x)), x[j]) + mul(sum(mul(q[j], x)), z[j])))
