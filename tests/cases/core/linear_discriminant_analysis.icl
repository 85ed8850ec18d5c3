program linear_discriminant_analysis(d, classes, ridge = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    c : onehot[classes] on example

ones : vector[d] = 1
n = rtw(sum[j in example](c[j]))
p_1 = affine(sum(n))
p_2 = max(p_1, 1)
p = div(n, p_2)
M_1 = rtw(sum[j in example](outer(c[j], x[j])))
M_2 = outer(n, ones)
M_3 = max(M_2, 1)
M = div(M_1, M_3)
S_1 = affine(transpose(M))
S_2 = affine(diag(p))
S_3 = dot(S_1, S_2)
S_4 = dot(S_3, M)
S = rtw(mean[j in example](outer(x[j], x[j])) - S_4)
inverse_e_1 = identity(d)[1]
inverse_turn_1 = concat(identity(d), identity(d))[2:d + 1]
inverse_M_1 = affine(S + ridge * identity(d))
repeat d
    inverse_r_1 = affine(inverse_M_1[1] - inverse_e_1)
    inverse_S_1_1 = outer(inverse_r_1, inverse_r_1)
    inverse_S_1_2 = affine(inverse_M_1[1, 1])
    inverse_S_1_3 = div(inverse_S_1_1, inverse_S_1_2)
    inverse_S_1 = affine(inverse_M_1 - inverse_S_1_3 - 2 * outer(inverse_e_1, inverse_e_1))
    inverse_M_1 = affine(inverse_turn_1 @ inverse_S_1 @ transpose(inverse_turn_1))
W_1 = affine(-inverse_M_1)
W = dot(M, W_1)

at query
    output_1 = dot(W, x)
    output_2 = mul(W, M)
    output_3 = max(p, 0.01)
    output_4 = log(output_3)
    output affine(output_1 - row_sums(output_2) / 2 + output_4)
