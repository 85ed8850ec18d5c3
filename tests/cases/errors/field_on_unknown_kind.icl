program faulty(d, steps = 1, rate = 0.1)

tokens (example)* query
    x : vector[d] on example, quary
    y : scalar on example

output 1
