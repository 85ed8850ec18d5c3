program temporal_difference(d, steps = 40, rate = 0.1, discount = 0.9)

tokens (transition)* query
    phi : vector[d] on transition, query
    after : vector[d] on transition
    reward : scalar on transition

w : vector[d] = 0
repeat steps
    w = rtw(w + rate * mean[j in transition](mul(reward[j] + discount * dot(w, after[j]) - dot(w, phi[j]), phi[j])))

at query
    output dot(w, phi)
