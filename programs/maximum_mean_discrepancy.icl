# How far two samples' distributions are apart, and a function that tells them apart.
# Source: Gretton et al. 2012, "A kernel two-sample test", JMLR 13; equation 5 and section 2.3.
program maximum_mean_discrepancy(d, width = 1)

tokens (a)* (b)* query  visible context
    x : vector[d] on a, query
    z : vector[d] on b

def kernel(u, v) = exp(-dot(u - v, u - v) / (2 * width ^ 2))

at a
    r = mean[j in a](kernel(x, x[j]))
at b
    r = mean[j in b](kernel(z, z[j])) - 2 * mean[j in a](kernel(z, x[j]))

at query
    output squared = mean[j in a](r[j]) + mean[j in b](r[j])
    output witness = mean[j in a](kernel(x, x[j])) - mean[j in b](kernel(x, z[j]))
