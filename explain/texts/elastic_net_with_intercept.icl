# The elastic net with an intercept, which is not penalised, by FISTA on deviations from the means.
# Source: Zou and Hastie 2005, "Regularization and variable selection via the elastic net", J. R. Stat. Soc. B 67(2).
program elastic_net_with_intercept(d, steps = 50, rate = 0.05, penalty = 0.1, ridge = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

def shrink(v, t) = relu(v - t) - relu(-v - t)

at y
    u = move x from previous

m = mean[j in y](u[j])
b = mean[j in y](y[j])
w : vector[d] = 0
z : vector[d] = 0
t = 1
repeat steps
    before = w
    w = shrink(z - rate * (ridge * z + mean[j in y]((dot(z, u[j] - m) - y[j] + b) * (u[j] - m))), rate * penalty)
    next = (1 + sqrt(1 + 4 * t ^ 2)) / 2
    z = w + (t - 1) / next * (w - before)
    t = next

at x
    output b + dot(w, x - m)
