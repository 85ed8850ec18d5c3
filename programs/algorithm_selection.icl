# Ridge regression whose λ is chosen by validation: odd examples fit, even judge.
# Source: Bai et al. 2023, "Transformers as statisticians: provable in-context learning with
# in-context algorithm selection", post-ICL validation (arXiv 2306.04637).
program algorithm_selection(d, steps = 50, rate = 0.05, sharpness = 100, lambdas : vector[4] = [0.001, 0.01, 0.1, 1])

tokens (fit judge)* query
    x : vector[d] on fit, judge, query
    y : scalar on fit, judge

one : vector[d] = 1
W : matrix[4, d] = 0                   # one row a candidate
repeat steps
    W = W - rate * (outer(lambdas, one) * W + mean[j in fit](outer(W @ x[j] - y[j], x[j])))
loss = mean[j in judge]((W @ x[j] - y[j]) ^ 2)

at query
    output dot(softmax(-sharpness * loss), W @ x)
