# Adam on half the mean squared error.
# Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", Algorithm 1
# (arXiv 1412.6980).
program adam(d, steps = 10, rate = 0.1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-3)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
m : vector[d] = 0
v : vector[d] = 0
p : scalar = 1                         # β₁ᵏ and β₂ᵏ: what changes from step to step is state
q : scalar = 1
repeat steps
    g = mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g ^ 2
    p = beta1 * p
    q = beta2 * q
    w = w - rate * m / (1 - p) / (sqrt(v / (1 - q)) + epsilon)

at x
    output dot(w, x)
