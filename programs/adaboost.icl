# AdaBoost: a vote of weak hypotheses; softmax attention weighs the examples.
# Source: Freund & Schapire 1997, "A decision-theoretic generalization of on-line learning and an
# application to boosting", J. Comput. Syst. Sci. 55(1).
program adaboost(d, rounds = 5, most = 0.95, tie = 0.001)

tokens (example)* query  visible context
    h : vector[d] on example, query in [-1, 1]  # what each hypothesis says: -1 or 1
    y : scalar on example in [-1, 1]

order : vector[d] = 0
repeat d as t
    order = order + tie * t * identity(d)[t]  # of hypotheses as good as each other the first
w : vector[d] = 0
repeat rounds
    at example
        margin = y * dot(w, h)
    edge = softmax[j in example](-margin[j], y[j] * h[j])  # right less wrong, of all weight
    best = argmax(abs(edge) - order)
    gamma = clip(dot(best, edge), -most, most)
    w = w + log((1 + gamma) / (1 - gamma)) / 2 * best

at query
    output dot(w, h)
