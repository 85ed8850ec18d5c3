# Where a state was at each step, given all observations: filter, then back.
# Source: Rauch, Tung & Striebel 1965, "Maximum likelihood estimates of linear dynamic systems",
# AIAA J. 3(8); without inverses: de Jong 1989, "Smoothing and interpolation with the state-space
# model", JASA 84.
program kalman_smoother(d, F : matrix[d, d], h : vector[d], steps = 20, prior = 1, drift = 0.1, noise = 0.1)

tokens (step)* end  visible context
    y : scalar on step

m : vector[d] = 0                      # zₜ₊₁ = F zₜ + N(0, drift·I), y = h·z + N(0, noise)
P : matrix[d, d] = prior * identity(d)
r : vector[d] = 0
scan step up to steps
    mu = m                             # of z, given the observations before
    V = P
    k = V @ h / (noise + h @ V @ h)
    e = y - dot(h, mu)
    m = F @ (mu + e * k)
    P = F @ (V - outer(k, V @ h)) @ transpose(F) + drift * identity(d)
scan step backwards up to steps
    g = r @ F
    r = g + (e / (noise + h @ V @ h) - dot(k, g)) * h

at step
    output mu + V @ r
