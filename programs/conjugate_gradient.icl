# Conjugate gradients on the normal equations, with no matrix ever formed.
# Source: Hestenes & Stiefel 1952, "Methods of conjugate gradients for solving linear systems",
# J. Res. Natl. Bur. Stand. 49(6). Once all is solved the next direction is rounding: no more than
# d steps, a ridge, and a floor above what float32 makes of 0.
program conjugate_gradient(d, steps = d, ridge = 0.2, floor = 1e-9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
b = mean[j in y](y[j] * u[j])
size = sqrt(dot(b, b))                 # solved for b of length 1, so that the floor is relative
r = b / size                           # what is left of b − (XᵀX/n + λI) w
p = r
repeat steps
    q = ridge * p + mean[j in y](dot(u[j], p) * u[j])
    a = dot(r, r) / max(dot(p, q), floor)
    w = w + a * p
    s = r - a * q
    p = s + dot(s, s) / max(dot(r, r), floor) * p
    r = s

at x
    output size * dot(w, x)
