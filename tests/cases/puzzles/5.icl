program puzzle_5(d)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output argmax[j in example](-dot(x - x[j], x - x[j]), y[j])
