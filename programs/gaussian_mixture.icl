# A mixture of Gaussians of diagonal covariance by EM, from the prompt's means.
# Source: Dempster, Laird & Rubin 1977, "Maximum likelihood from incomplete data via the EM
# algorithm", J. R. Stat. Soc. B 39(1).
program gaussian_mixture(d, k, steps = 5, floor = 0.1)

tokens start (point)*  visible context
    M : matrix[k, d] on start          # the first means
    x : vector[d] on point

each : vector[k] = 1
of : vector[d] = 1
def square(x, M) = (outer(each, x) - M) ^ 2
def shares(x, p, M, V) = softmax(log(p) - row_sums(square(x, M) / V + log(V)) / 2)

M = move M from first start
V : matrix[k, d] = 1
p : vector[k] = 1 / k
repeat steps
    at point
        r = shares(x, p, M, V)
    p = mean[j in point](r[j])
    M = mean[j in point](outer(r[j], x[j])) / outer(p, of)
    at point
        S = diag(r) @ square(x, M)
    V = mean[j in point](S[j]) / outer(p, of) + floor

at point
    output shares(x, p, M, V)
