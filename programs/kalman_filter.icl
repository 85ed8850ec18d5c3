# Tracking weights that walk: wₜ = wₜ₋₁ + N(0, drift·I), y = wₜᵀx + N(0, noise).
# Source: Kalman 1960, "A new approach to linear filtering and prediction problems",
# J. Basic Eng. 82(1).
program kalman_filter(d, examples = 40, prior = 1, drift = 0.01, noise = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
P : matrix[d, d] = prior * identity(d)
scan y up to examples
    V = P + drift * identity(d)        # predict
    q = V @ u
    s = noise + dot(u, q)
    w = w + (y - dot(w, u)) * q / s    # correct
    P = V - outer(q, q) / s

at x
    output dot(w, x)
