program k_means(d, k, steps = 10, sharpness = 100, floor = 0.001)

tokens start (point)*  visible context
    C : matrix[k, d] on start
    s : vector[d] on point

one : vector[d] = 1
C = move C from first start
repeat steps
    at point
        a_1 = dot(C, s)
        a_2 = mul(C, C)
        a_3 = affine(sharpness * (a_1 - a_2 @ one / 2))
        a = softmax(a_3)
    n = rtw(mean[j in point](a[j]))
    C_1 = outer(n, one)
    C_2 = mul(C_1, C)
    C_3 = rtw(mean[j in point](outer(a[j], s[j])) - C_2)
    C_4 = max(n, floor)
    C_5 = outer(C_4, one)
    C_6 = div(C_3, C_5)
    C = affine(C + C_6)

at point
    output dot(a, C)
