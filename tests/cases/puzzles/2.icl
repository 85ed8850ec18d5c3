program puzzle_2(d, level = 0.5)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output sum[j in example](y[j] > level)
