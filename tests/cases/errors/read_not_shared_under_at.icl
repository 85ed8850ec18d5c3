program faulty(d)

tokens (example)* query  visible context
    x : vector[d] on example, query

at query
    w = mean[j in example](x[j])
    z = x
    v = mean[j in example](tanh(dot(w, x[j])))
    output v
