program puzzle_9(d, examples = 8, rate = 0.3)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
scan example up to examples
    w = w + rate * (y - dot(w, x)) * x

at query
    output dot(w, x)
