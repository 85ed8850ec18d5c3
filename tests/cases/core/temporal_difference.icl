program temporal_difference(d, steps = 40, rate = 0.1, discount = 0.9)

tokens (transition)* query  visible context
    phi : vector[d] on transition, query
    after : vector[d] on transition
    reward : scalar on transition

at transition
    e = reward
    g = affine(discount * after)
at query
    e = 0
    g : vector[d] = 0

repeat steps
    e = rtw(e + rate * mean[j in transition](mul(dot(g - phi, phi[j]), e[j])))

at query
    output affine(-e)
