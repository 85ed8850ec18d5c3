program puzzle_3(d)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output mean[j in example](y[j] * dot(x, x[j]))
