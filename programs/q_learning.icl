# Q-learning from a walk: a table of what each action is worth in each state.
# Source: Watkins & Dayan 1992, "Q-learning", Machine Learning 8.
program q_learning(states, actions, transitions = 20, rate = 0.5, discount = 0.9)

tokens (transition)*
    s : onehot[states] on transition
    a : onehot[actions] on transition
    reward : scalar on transition in [-1, 1]
    after : onehot[states] on transition

Q : matrix[states, actions] = 0
scan transition up to transitions
    Q = Q + rate * (reward + discount * max(after @ Q) - dot(s @ Q, a)) * outer(s, a)

output after @ Q
