# Gradient descent on any loss: ℓ′ comes in the prompt as a sum of ReLUs.
# Source: new here. ℓ′(r) = offset + Σₖ slopeₖ · relu(r − knotₖ), and the weights do not change
# with it; steps of geometrically decaying length as in Goffin 1977.
program retargetable_loss_table(d, knots, steps = 500, rate = 0.5, decay = 0.985)

tokens table (example)* query  visible context
    knot : vector[knots] on table
    slope : vector[knots] on table
    offset : scalar on table
    x : vector[d] on example, query
    y : scalar on example

knot = move knot from first table
slope = move slope from first table
offset = move offset from first table
w : vector[d] = 0
eta : scalar = rate
repeat steps
    at example
        g = offset + dot(slope, relu(dot(w, x) - y - knot))
    w = w - eta * mean[j in example](g[j] * x[j])
    eta = decay * eta

at query
    output dot(w, x)
