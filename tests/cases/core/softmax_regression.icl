program softmax_regression(d, classes, steps = 10, rate = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    c : onehot[classes] on example

W : matrix[classes, d + 1] = 0
repeat steps
    at example
        e_1 = affine([1, x])
        e_2 = dot(W, e_1)
        e_3 = softmax(e_2)
        e = affine(c - e_3)
    W = rtw(W + rate * mean[j in example](outer(e[j], [1, x[j]])))

at query
    output_1 = affine([1, x])
    output_2 = dot(W, output_1)
    output softmax(output_2)
