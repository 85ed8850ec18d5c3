program perceptron(d, examples = 40)

tokens (x y)* x
    x : vector[d]
    y : scalar in [-1, 1]

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w_1 = dot(w, u)
    w_2 = mul(y, w_1)
    w_3 = w_2 <= 0
    w_4 = mul(w_3, y)
    w_5 = mul(w_4, u)
    w = affine(w + w_5)

at x
    output dot(w, x)
