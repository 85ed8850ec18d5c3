# Ridge whose λ is chosen on examples held out: three fits weighed by error.
# Source: Hastie, Tibshirani & Friedman 2009, "The Elements of Statistical Learning", sections 3.4.1 and 7.2.
program validated_ridge(d, lambdas : vector[3] = [0.01, 0.1, 1], sharpness = 100)

use linear_algebra

tokens (fit)* (judge)* query  visible context
    x : vector[d] on fit, judge, query
    y : scalar on fit
    label : scalar on judge

S = mean[j in fit](outer(x[j], x[j]))
b = mean[j in fit](y[j] * x[j])
W = [solve(shifted(S, lambdas[1]), b), solve(shifted(S, lambdas[2]), b), solve(shifted(S, lambdas[3]), b)]
loss = mean[j in judge]((W @ x[j] - label[j]) ^ 2)

at query
    output prediction = dot(softmax(-sharpness * loss), W @ x)
    output error = min(loss)
