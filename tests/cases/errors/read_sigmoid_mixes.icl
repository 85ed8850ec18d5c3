# Logistic regression, the gradient taken in one read.
program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
w : vector[d] = 0
repeat steps
    g = mean[j in y]((sigmoid(dot(w, u[j])) - y[j]) * u[j])
    w = w - rate * g

at x
    output dot(w, x)
