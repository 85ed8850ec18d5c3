# One pass of SGD on half the squared error whose rate falls with a power of the number of examples.
program falling_stochastic_gradient_descent(d, examples = 40, rate = 0.1, power = 0.5)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
count = 0
scan y up to examples
    count = count + 1
    w = w - rate * exp(-power * log(max(count, 1))) * (dot(w, u) - y) * u

at x
    output dot(w, x)
