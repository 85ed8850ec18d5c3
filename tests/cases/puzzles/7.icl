program puzzle_7(d, steps = 3, rate = 0.4)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps as t
    w = w - rate / t * mean[j in example]((dot(w, x[j]) - y[j]) * x[j])

at query
    output dot(w, x)
