program value_iteration(states, actions, steps = 25, discount = 0.5, prior = 1)

tokens (state)*  visible context
    s : onehot[states] on state
    seen : matrix[actions, states] on state in [0, 5]
    reward : vector[actions] on state in [-1, 1]

ones : vector[states] = 1
P_1 = affine(prior + seen)
P_2 = affine(row_sums(prior + seen))
P_3 = outer(P_2, ones)
P = div(P_1, P_3)
V : vector[states] = 0
repeat steps
    v_1 = affine(discount * P)
    v_2 = dot(v_1, V)
    v_3 = affine(reward + v_2)
    v = max(v_3)
    V = rtw(sum[j in state](mul(v[j], s[j])))

output v
