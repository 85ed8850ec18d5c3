# Gaussian process regression by Cholesky: the posterior's mean and variance.
# Source: Rasmussen & Williams 2006, "Gaussian processes for machine learning", Algorithm 2.1.
program gaussian_process(d, examples = 12, width = 1, noise = 0.1)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

def square(v) = dot(v, v)
def is(n, t) = (n > t - 0.5) - (n > t + 0.5)

n = sum[j in example](1)               # an example's number
mu = 0                                 # of me, given the examples before number t
var = 1
L : vector[examples] = 0               # my row of the Cholesky factor
repeat examples as t
    seen = sum[j in example](is(n[j], t))
    z = sum[j in example](is(n[j], t) * x[j])
    M = sum[j in example](is(n[j], t) * L[j])
    s = sum[j in example](is(n[j], t) * [var[j], y[j] - mu[j]])
    c = seen * exp(-square(x - z) / (2 * width ^ 2)) - dot(L, M)
    l = c / sqrt(noise + s[1])
    mu = mu + l * s[2] / sqrt(noise + s[1])
    var = var - l ^ 2
    L = L + l * identity(examples)[t]

at query
    output mean = mu
    output variance = var
