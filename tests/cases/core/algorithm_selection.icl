program algorithm_selection(d, steps = 50, rate = 0.05, sharpness = 100, lambdas : vector[4] = [0.001, 0.01, 0.1, 1])

tokens (fit judge)* query
    x : vector[d] on fit, judge, query
    y : scalar on fit, judge

one : vector[d] = 1
W : matrix[4, d] = 0
repeat steps
    W = rtw(W - rate * (outer(lambdas, one) * W + mean[j in fit](outer(dot(W, x[j]) - y[j], x[j]))))
loss = rtw(mean[j in judge](mul(dot(W, x[j]) - y[j], dot(W, x[j]) - y[j])))

at query
    output_1 = affine(-sharpness * loss)
    output_2 = softmax(output_1)
    output_3 = dot(W, x)
    output dot(output_2, output_3)
