program normalized_least_mean_squares(d, examples = 40, rate = 0.5, epsilon = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w_1 = dot(w, u)
    w_2 = affine(rate * (y - w_1))
    w_3 = mul(w_2, u)
    w_4 = dot(u, u)
    w_5 = affine(epsilon + w_4)
    w_6 = div(w_3, w_5)
    w = affine(w + w_6)

at x
    output dot(w, x)
