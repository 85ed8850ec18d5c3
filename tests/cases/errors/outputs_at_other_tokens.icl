program outputs_at_other_tokens()

tokens (x)* query
    x : scalar on x, query

at query
    output mean = x
output twice = 2 * x
