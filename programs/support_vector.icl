# Support vector machine, labels −1 or 1: subgradient steps of 1/λt on the hinge.
# Source: Shalev-Shwartz et al. 2007, "Pegasos: primal estimated sub-gradient solver for SVM",
# with all examples in every step.
program support_vector(d, steps = 50, ridge = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
t : scalar = 0
repeat steps
    t = t + 1
    at example
        g = -y * (y * dot(w, x) < 1)
    w = w - (ridge * w + mean[j in example](g[j] * x[j])) / (ridge * t)

at query
    output dot(w, x)                   # its sign is the label
