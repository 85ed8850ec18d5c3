program adaboost(d, rounds = 5, most = 0.95, tie = 0.001)

tokens (example)* query  visible context
    h : vector[d] on example, query in [-1, 1]
    y : scalar on example in [-1, 1]

order : vector[d] = 0
repeat d as t
    order = affine(order + tie * t * identity(d)[t])
w : vector[d] = 0
repeat rounds
    at example
        margin_1 = dot(w, h)
        margin = mul(y, margin_1)
    edge = rtw(softmax[j in example](-margin[j], mul(y[j], h[j])))
    best_1 = abs(edge)
    best_2 = affine(best_1 - order)
    best = argmax(best_2)
    gamma_1 = dot(best, edge)
    gamma = clip(gamma_1, -most, most)
    w_1 = affine(1 + gamma)
    w_2 = affine(1 - gamma)
    w_3 = div(w_1, w_2)
    w_4 = log(w_3)
    w_5 = affine(w_4 / 2)
    w_6 = mul(w_5, best)
    w = affine(w + w_6)

at query
    output dot(w, h)
