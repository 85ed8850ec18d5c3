program groups_apart(d)

tokens (a)* between (b)*
    x : vector[d] on a
    y : scalar on b

output mean[j in b](y[j])
