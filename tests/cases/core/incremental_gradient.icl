program incremental_gradient(d, epochs = 3, examples = 20, rates : vector[epochs] = 0.05)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat epochs as k
    w = move w from last example
    scan example up to examples
        w_1 = dot(w, x)
        w_2 = affine(rates[k] * (w_1 - y))
        w_3 = mul(w_2, x)
        w = affine(w - w_3)

at query
    output dot(w, x)
