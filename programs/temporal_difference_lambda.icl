# Policy evaluation by batch TD(λ): the error goes to all states of the trace.
# Source: Sutton 1988, "Learning to predict by the methods of temporal differences"; in context:
# Wang et al. 2024, "Transformers can learn temporal difference methods for in-context
# reinforcement learning" (arXiv 2405.13861).
program temporal_difference_lambda(d, length = 40, steps = 40, rate = 0.1, discount = 0.9, trace = 0.5)

tokens (transition)* query
    phi : vector[d] on transition, query
    after : vector[d] on transition
    reward : scalar on transition

z : vector[d] = 0
scan transition up to length
    z = discount * trace * z + phi

w : vector[d] = 0
repeat steps
    w = w + rate * mean[j in transition]((reward[j] + discount * dot(w, after[j]) - dot(w, phi[j])) * z[j])

at query
    output dot(w, phi)
