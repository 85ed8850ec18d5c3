program faulty(d, steps = 1, rate = 0.1)

tokens (example)* query
    x : vector[d]
    y : scalar on example

output 1
