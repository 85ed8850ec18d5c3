# Gradient descent on any convex loss: ℓ′ comes in the prompt as a table of ramps.
# Source: new here; steps of geometrically decaying length as in Goffin 1977, "On convergence
# rates of subgradient optimization methods", Math. Program. 13. A ramp, two ReLUs, climbs by
# `rise` from `knot` on, at `slope`; the share `below` of its rise is what ℓ′ starts from under 0.
program retargetable_loss_table(d, ramps, steps = 500, rate = 1.5, decay = 0.988)

tokens table (example)* query  visible context
    knot : vector[ramps] on table in [-1, 1]
    slope : vector[ramps] on table in [0, 50]
    rise : vector[ramps] on table in [0, 1]
    below : vector[ramps] on table in [0, 1]
    x : vector[d] on example, query
    y : scalar on example

at table
    start = -dot(below, rise)          # ℓ′ far to the left
knot = move knot from first table
slope = move slope from first table
rise = move rise from first table
start = move start from first table
w : vector[d] = 0
eta : scalar = rate / mean[j in example](dot(x[j], x[j]))  # a longer step would diverge
repeat steps
    at example
        z = slope * (dot(w, x) - y - knot)
        g = start + sum(relu(z) - relu(z - rise))
    w = w - eta * mean[j in example](g[j] * x[j])
    eta = decay * eta

at query
    output dot(w, x)
