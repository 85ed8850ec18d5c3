program output_named_in_definition()

tokens (x)* query
    x : scalar on x, query

def twice(v)
    w = 2 * v
    output w = w

output twice(x)
