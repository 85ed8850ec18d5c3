program kernel_ridge(d, examples = 12, steps = 30, width = 1, ridge = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

radius = examples / 2
centre = ridge + radius
rho : scalar = radius / centre
at example
    a = 0
    p = affine(y / centre)
    repeat steps
        a = affine(a + p)
        next_1 = affine(2 * centre / radius - rho)
        next = div(1, next_1)
        p_1 = mul(next, rho)
        p_2 = mul(p_1, p)
        p_3 = affine(2 * next / radius)
        p_4 = rtw(y - ridge * a - sum[j in example](mul(exp(-dot(x - x[j], x - x[j]) / (2 * width ^ 2)), a[j])))
        p_5 = mul(p_3, p_4)
        p = affine(p_2 + p_5)
        rho = next

at query
    output rtw(sum[j in example](mul(exp(-dot(x - x[j], x - x[j]) / (2 * width ^ 2)), a[j])))
