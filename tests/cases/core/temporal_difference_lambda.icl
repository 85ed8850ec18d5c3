program temporal_difference_lambda(d, length = 40, steps = 40, rate = 0.02, discount = 0.9, trace = 0.5)

tokens (transition)* query
    phi : vector[d] on transition, query
    after : vector[d] on transition
    reward : scalar on transition

z : vector[d] = 0
scan transition up to length
    z = affine(discount * trace * z + phi)

w : vector[d] = 0
repeat steps
    w = rtw(w + rate * mean[j in transition](mul(reward[j] + discount * dot(w, after[j]) - dot(w, phi[j]), z[j])))

at query
    output dot(w, phi)
