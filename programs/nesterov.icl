# Accelerated gradient descent: the gradient is taken where momentum will arrive.
# Source: Nesterov 1983, "A method for solving the convex programming problem with convergence rate
# O(1/k²)", as in Sutskever et al. 2013, "On the importance of initialization and momentum
# in deep learning", equations 3 and 4.
program nesterov(d, steps = 10, rate = 0.1, momentum = 0.9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
v : vector[d] = 0
repeat steps
    ahead = w + momentum * v
    v = momentum * v - rate * mean[j in y]((dot(ahead, u[j]) - y[j]) * u[j])
    w = w + v

at x
    output dot(w, x)
