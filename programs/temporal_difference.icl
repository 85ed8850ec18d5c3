# Policy evaluation by batch TD(0), one update a layer.
# Source: Sutton 1988, "Learning to predict by the methods of temporal differences"; in context:
# Wang et al. 2024, "Transformers can learn temporal difference methods for in-context
# reinforcement learning" (arXiv 2405.13861).
program temporal_difference(d, steps = 40, rate = 0.1, discount = 0.9)

tokens (transition)* query
    phi : vector[d] on transition, query          # features of the state
    after : vector[d] on transition               # and of the state that followed
    reward : scalar on transition

w : vector[d] = 0
repeat steps
    w = w + rate * mean[j in transition]((reward[j] + discount * dot(w, after[j]) - dot(w, phi[j])) * phi[j])

at query
    output dot(w, phi)
