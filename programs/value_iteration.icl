# Value iteration on the mean of a posterior over Markov decision processes.
# Source: Bellman 1957, "Dynamic programming"; the prior: Strens 2000, "A Bayesian framework for
# reinforcement learning", ICML.
program value_iteration(states, actions, steps = 25, discount = 0.5, prior = 1)

tokens (state)*  visible context
    s : onehot[states] on state
    seen : matrix[actions, states] on state in [0, 5]  # how often an action led from here to where
    reward : vector[actions] on state in [-1, 1]

ones : vector[states] = 1
P = (prior + seen) / outer(row_sums(prior + seen), ones)
V : vector[states] = 0
repeat steps
    v = max(reward + discount * P @ V)
    V = sum[j in state](v[j] * s[j])

output v
