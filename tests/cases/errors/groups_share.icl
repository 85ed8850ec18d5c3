program groups_share(d)

tokens (a b)* (a)* q
    x : vector[d] on a, q
    y : scalar on b

at q
    output dot(mean[j in a](x[j]), x)
