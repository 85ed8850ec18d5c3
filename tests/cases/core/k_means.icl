program k_means(d, k, steps = 10, sharpness = 100)

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
    C_1 = rtw(mean[j in point](outer(a[j], s[j])))
    C_2 = outer(n, one)
    C = div(C_1, C_2)

at point
    output dot(a, C)
