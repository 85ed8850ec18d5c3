program faulty(d, steps = 1, rate = 0.1)

tokens (example)* query
    x : vector[d] on example, query

w : vector[d] = 0

at query
    v = example

at query
    output dot(w, x)
