program gaussian_mixture(d, k, steps = 5, floor = 0.1)

tokens start (point)*  visible context
    M : matrix[k, d] on start
    x : vector[d] on point

each : vector[k] = 1
of : vector[d] = 1

M = move M from first start
V : matrix[k, d] = 1
p : vector[k] = 1 / k
repeat steps
    at point
        r_1 = log(p)
        r_2 = outer(each, x)
        r_3 = affine(r_2 - M)
        r_4 = mul(r_3, r_3)
        r_5 = div(r_4, V)
        r_6 = log(V)
        r_7 = affine(r_1 - row_sums(r_5 + r_6) / 2)
        r = softmax(r_7)
    p = rtw(mean[j in point](r[j]))
    M_1 = rtw(mean[j in point](outer(r[j], x[j])))
    M_2 = outer(p, of)
    M = div(M_1, M_2)
    at point
        S_1 = affine(diag(r))
        S_2 = outer(each, x)
        S_3 = affine(S_2 - M)
        S_4 = mul(S_3, S_3)
        S = dot(S_1, S_4)
    V_1 = rtw(mean[j in point](S[j]))
    V_2 = outer(p, of)
    V_3 = div(V_1, V_2)
    V = affine(V_3 + floor)

at point
    output_1 = log(p)
    output_2 = outer(each, x)
    output_3 = affine(output_2 - M)
    output_4 = mul(output_3, output_3)
    output_5 = div(output_4, V)
    output_6 = log(V)
    output_7 = affine(output_1 - row_sums(output_5 + output_6) / 2)
    output softmax(output_7)
