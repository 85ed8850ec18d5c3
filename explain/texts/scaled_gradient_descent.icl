# Gradient descent whose rate falls from step to step, and grows with a power of the number of examples: 1 sums.
program scaled_gradient_descent(d, steps = 2, rate = 0.1, decay = 0.9, power = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

n = sum[j in y](1)
eta = rate * exp(power * log(max(n, 1)))
w : vector[d] = 0
repeat steps
    w = w - eta * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    eta = decay * eta

at x
    output dot(w, x)
