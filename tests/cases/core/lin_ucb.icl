program lin_ucb(d, arms, alpha = 1, ridge = 1)

tokens (trial)* choice
    x : vector[d] on trial
    reward : scalar on trial in [-1, 1]
    X : matrix[arms, d] on choice

inverse_e_1 = identity(d)[1]

inverse_turn_1 = concat(identity(d), identity(d))[2:d + 1]

inverse_M_1 = rtw(ridge * identity(d) + sum[j in trial](outer(x[j], x[j])))

repeat d
    inverse_r_1 = affine(inverse_M_1[1] - inverse_e_1)
    inverse_S_1_1 = outer(inverse_r_1, inverse_r_1)
    inverse_S_1_2 = affine(inverse_M_1[1, 1])
    inverse_S_1_3 = div(inverse_S_1_1, inverse_S_1_2)
    inverse_S_1 = affine(inverse_M_1 - inverse_S_1_3 - 2 * outer(inverse_e_1, inverse_e_1))
    inverse_M_1 = affine(inverse_turn_1 @ inverse_S_1 @ transpose(inverse_turn_1))

A = affine(-inverse_M_1)
theta_1 = rtw(sum[j in trial](mul(reward[j], x[j])))
theta = dot(A, theta_1)

at choice
    output_1 = dot(X, theta)
    output_2 = dot(X, A)
    output_3 = mul(output_2, X)
    output_4 = affine(row_sums(output_3))
    output_5 = sqrt(output_4)
    output affine(output_1 + alpha * output_5)
