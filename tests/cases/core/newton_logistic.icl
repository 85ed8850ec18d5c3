program newton_logistic(d, steps = 5, inner = 12, ridge = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps
    at example
        p_1 = dot(w, x)
        p = sigmoid(p_1)
    g = rtw(ridge * w + mean[j in example](mul(p[j] - y[j], x[j])))
    H = rtw(ridge * identity(d) + mean[j in example](mul(mul(p[j], 1 - p[j]), outer(x[j], x[j]))))
    M_1 = affine(sum(identity(d) * H))
    M = div(identity(d), M_1)
    repeat inner
        M_2 = dot(M, H)
        M_3 = dot(M_2, M)
        M = affine(2 * M - M_3)
    w_1 = dot(M, g)
    w = affine(w - w_1)

at query
    output_1 = dot(w, x)
    output sigmoid(output_1)
