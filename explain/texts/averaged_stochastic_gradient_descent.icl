# One pass of SGD on half the squared error that answers by the mean of its w after each example.
program averaged_stochastic_gradient_descent(d, examples = 40, rate = 0.05)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
total : vector[d] = 0
count = 0
scan y up to examples
    w = w - rate * (dot(w, u) - y) * u
    total = total + w
    count = count + 1

at x
    output dot(total, x) / max(count, 1)
