# GD++ with a rate for each of two layers (von Oswald et al. 2022, Appendix A.10).
program gd_plus_layers_2(d, rate_1 = 0.1, rate_2 = 0.1, curvature = 0.01)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

z = x
at example
    r = y
at query
    r = 0

r = r - rate_1 * mean[j in example](dot(z, z[j]) * r[j])
z = z - curvature * sum[j in example](dot(z, z[j]) * z[j])
r = r - rate_2 * mean[j in example](dot(z, z[j]) * r[j])

at query
    output -r
