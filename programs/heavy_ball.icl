# Gradient descent with momentum.
# Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods",
# USSR Comput. Math. Math. Phys. 4(5).
program heavy_ball(d, steps = 10, rate = 0.1, momentum = 0.9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
v : vector[d] = 0
repeat steps
    v = momentum * v - rate * grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))
    w = w + v

at x
    output dot(w, x)
