program q_learning(states, actions, transitions = 20, rate = 0.5, discount = 0.9)

tokens (transition)*
    s : onehot[states] on transition
    a : onehot[actions] on transition
    reward : scalar on transition in [-1, 1]
    after : onehot[states] on transition

Q : matrix[states, actions] = 0
scan transition up to transitions
    Q_1 = dot(after, Q)
    Q_2 = max(Q_1)
    Q_3 = dot(s, Q)
    Q_4 = dot(Q_3, a)
    Q_5 = affine(rate * (reward + discount * Q_2 - Q_4))
    Q_6 = outer(s, a)
    Q_7 = mul(Q_5, Q_6)
    Q = affine(Q + Q_7)

output dot(after, Q)
