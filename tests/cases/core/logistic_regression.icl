program logistic_regression(d, steps = 10, rate = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps
    at example
        e_1 = dot(w, x)
        e_2 = sigmoid(e_1)
        e = affine(e_2 - y)
    w = rtw(w - rate * mean[j in example](mul(e[j], x[j])))

at query
    output_1 = dot(w, x)
    output sigmoid(output_1)
