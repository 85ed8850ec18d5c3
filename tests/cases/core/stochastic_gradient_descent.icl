program stochastic_gradient_descent(d, examples = 40, rate = 0.01, decay = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w_1 = dot(w, u)
    w_2 = affine(w_1 - y)
    w_3 = mul(w_2, u)
    w = affine(w - 2 * rate * (w_3 + decay * w))

at x
    output dot(w, x)
