program bayes_model_average(d, m, known : matrix[m, d], noise = 0.25)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    e_1 = affine(known @ u - y)
    e = mul(e_1, e_1)

at x
    p_1 = rtw(-sum[j in y](e[j]) / (2 * noise))
    p = softmax(p_1)
    output_1 = affine(known @ x)
    output dot(p, output_1)
