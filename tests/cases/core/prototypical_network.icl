program prototypical_network(d, classes)

tokens (support)* (query)*
    x : vector[d] on support, query
    c : onehot[classes] on support

ones : vector[d] = 1
at query
    n = rtw(sum[j in support](c[j]))
    M_1 = rtw(sum[j in support](outer(c[j], x[j])))
    M_2 = outer(n, ones)
    M_3 = max(M_2, 1)
    M = div(M_1, M_3)
    output_1 = affine(2 * M)
    output_2 = dot(output_1, x)
    output_3 = mul(M, M)
    output_4 = affine(output_2 - row_sums(output_3))
    output softmax(output_4)
