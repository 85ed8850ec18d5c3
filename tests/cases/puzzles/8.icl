program puzzle_8(d, steps = 3, rate = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example in [0, 1]

w : vector[d] = 0
repeat steps
    w = w + rate * mean[j in example]((y[j] - sigmoid(dot(w, x[j]))) * x[j])

at query
    output sigmoid(dot(w, x))
