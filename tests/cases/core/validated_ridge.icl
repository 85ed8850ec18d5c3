program validated_ridge(d, lambdas : vector[3] = [0.01, 0.1, 1], sharpness = 100)

tokens (fit)* (judge)* query  visible context
    x : vector[d] on fit, judge, query
    y : scalar on fit
    label : scalar on judge

S = rtw(mean[j in fit](outer(x[j], x[j])))
b = rtw(mean[j in fit](mul(y[j], x[j])))
solve_inverse_e = identity(d)[1]
solve_inverse_turn = concat(identity(d), identity(d))[2:d + 1]
solve_inverse_M = affine(S + lambdas[1] * identity(d))
repeat d
    solve_inverse_r = affine(solve_inverse_M[1] - solve_inverse_e)
    solve_inverse_S_3 = outer(solve_inverse_r, solve_inverse_r)
    solve_inverse_S_4 = affine(solve_inverse_M[1, 1])
    solve_inverse_S_5 = div(solve_inverse_S_3, solve_inverse_S_4)
    solve_inverse_S = affine(solve_inverse_M - solve_inverse_S_5 - 2 * outer(solve_inverse_e, solve_inverse_e))
    solve_inverse_M = affine(solve_inverse_turn @ solve_inverse_S @ transpose(solve_inverse_turn))
solve_inverse_e_1 = identity(d)[1]
solve_inverse_turn_1 = concat(identity(d), identity(d))[2:d + 1]
solve_inverse_M_1 = affine(S + lambdas[2] * identity(d))
repeat d
    solve_inverse_r_1 = affine(solve_inverse_M_1[1] - solve_inverse_e_1)
    solve_inverse_S_1_1 = outer(solve_inverse_r_1, solve_inverse_r_1)
    solve_inverse_S_1_2 = affine(solve_inverse_M_1[1, 1])
    solve_inverse_S_1_3 = div(solve_inverse_S_1_1, solve_inverse_S_1_2)
    solve_inverse_S_1 = affine(solve_inverse_M_1 - solve_inverse_S_1_3 - 2 * outer(solve_inverse_e_1, solve_inverse_e_1))
    solve_inverse_M_1 = affine(solve_inverse_turn_1 @ solve_inverse_S_1 @ transpose(solve_inverse_turn_1))
solve_inverse_e_2 = identity(d)[1]
solve_inverse_turn_2 = concat(identity(d), identity(d))[2:d + 1]
solve_inverse_M_2 = affine(S + lambdas[3] * identity(d))
repeat d
    solve_inverse_r_2 = affine(solve_inverse_M_2[1] - solve_inverse_e_2)
    solve_inverse_S_2_1 = outer(solve_inverse_r_2, solve_inverse_r_2)
    solve_inverse_S_2_2 = affine(solve_inverse_M_2[1, 1])
    solve_inverse_S_2_3 = div(solve_inverse_S_2_1, solve_inverse_S_2_2)
    solve_inverse_S_2 = affine(solve_inverse_M_2 - solve_inverse_S_2_3 - 2 * outer(solve_inverse_e_2, solve_inverse_e_2))
    solve_inverse_M_2 = affine(solve_inverse_turn_2 @ solve_inverse_S_2 @ transpose(solve_inverse_turn_2))
W_1 = affine(-solve_inverse_M)
W_2 = dot(W_1, b)
W_3 = affine(-solve_inverse_M_1)
W_4 = dot(W_3, b)
W_5 = affine(-solve_inverse_M_2)
W_6 = dot(W_5, b)
W = affine([W_2, W_4, W_6])
loss = rtw(mean[j in judge](mul(dot(W, x[j]) - label[j], dot(W, x[j]) - label[j])))

at query
    output_prediction_1 = affine(-sharpness * loss)
    output_prediction_2 = softmax(output_prediction_1)
    output_prediction_3 = dot(W, x)
    output prediction = dot(output_prediction_2, output_prediction_3)
    output error = min(loss)
