program output_names()

tokens (x)* query
    x : scalar on x, query

output max = x
output max = 2 * x
output task = 3 * x
output max_bound = 4 * x
