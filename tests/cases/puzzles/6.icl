program puzzle_6(d, h = 0.8)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output softmax[j in example](-dot(x - x[j], x - x[j]) / (2 * h ^ 2), y[j])
