# LinUCB: of each arm the reward to expect, and how much more it may be.
# Source: Li et al. 2010, "A contextual-bandit approach to personalized news article
# recommendation", WWW (arXiv 1003.0146).
program lin_ucb(d, arms, alpha = 1, ridge = 1)

use linear_algebra

tokens (trial)* choice
    x : vector[d] on trial             # features of the arm that was pulled
    reward : scalar on trial in [-1, 1]
    X : matrix[arms, d] on choice      # and of the arms to choose from

A = inverse(ridge * identity(d) + sum[j in trial](outer(x[j], x[j])))
theta = A @ sum[j in trial](reward[j] * x[j])

at choice
    output X @ theta + alpha * sqrt(row_sums(X @ A * X))
