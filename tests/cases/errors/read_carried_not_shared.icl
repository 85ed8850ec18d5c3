program faulty(d, steps = 2)

tokens (example)* query  visible context
    x : vector[d] on example, query

w : vector[d] = 0
repeat steps
    v = mean[j in example](tanh(dot(w, x[j])) * x[j])
    w = w + x
at query
    output dot(w, v)
