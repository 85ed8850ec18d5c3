program groups_untold(d)

tokens (a)* (b)* q
    x : vector[d] on a, b, q
    y : scalar on a, b

at q
    output dot(mean[j in a](y[j] * x[j]), x)
