# Gradient descent that answers by the mean of its w after each step.
# Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30(4).
program averaged_gradient_descent(d, steps = 2, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
total : vector[d] = 0
count = 0
repeat steps
    w = w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    total = total + w
    count = count + 1

at x
    output dot(total, x) / max(count, 1)
