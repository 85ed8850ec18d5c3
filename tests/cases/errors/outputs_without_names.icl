program outputs_without_names()

tokens (x)* query
    x : scalar on x, query

at query
    output x
    output mean = 2 * x
