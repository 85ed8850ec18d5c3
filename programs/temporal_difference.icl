# Policy evaluation by batch TD(0), one update a layer.
# Source: Sutton 1988, "Learning to predict by the methods of temporal differences"; in context:
# Wang et al. 2024, "Transformers can learn temporal difference methods for in-context
# reinforcement learning" (arXiv 2405.13861).
program temporal_difference(d, steps = 40, rate = 0.1, discount = 0.9)

tokens (transition)* query  visible context
    phi : vector[d] on transition, query  # features of the state
    after : vector[d] on transition       # and of the state that followed
    reward : scalar on transition

at transition
    e = reward                         # the temporal difference; at the query, minus the value
    g = discount * after
at query
    e = 0
    g : vector[d] = 0

repeat steps                           # for w ← w + rate · mean e φ, which no token holds
    e = e + rate * mean[j in transition](dot(g - phi, phi[j]) * e[j])

at query
    output -e
