# Logistic regression with an intercept and several classes, by gradient descent.
# Source: Böhning 1992, "Multinomial logistic regression algorithm", Ann. Inst. Stat. Math. 44(1).
program softmax_regression(d, classes, steps = 10, rate = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    c : onehot[classes] on example

W : matrix[classes, d + 1] = 0
repeat steps
    at example
        e = c - softmax(W @ [1, x])
    W = W + rate * mean[j in example](outer(e[j], [1, x[j]]))

at query
    output softmax(W @ [1, x])
