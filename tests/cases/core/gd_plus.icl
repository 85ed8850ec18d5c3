program gd_plus(d, steps = 2, rate = 0.1, curvature = 0.01)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

z = x
at example
    r = y
at query
    r = 0

repeat steps
    r = rtw(r - rate * mean[j in example](mul(dot(z, z[j]), r[j])))
    z = rtw(z - curvature * sum[j in example](mul(dot(z, z[j]), z[j])))

at query
    output affine(-r)
