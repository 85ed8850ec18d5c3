program kalman_filter(d, examples = 40, prior = 1, drift = 0.01, noise = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
P : matrix[d, d] = prior * identity(d)
scan y up to examples
    V = affine(P + drift * identity(d))
    q = dot(V, u)
    s_1 = dot(u, q)
    s = affine(noise + s_1)
    w_1 = dot(w, u)
    w_2 = affine(y - w_1)
    w_3 = mul(w_2, q)
    w_4 = div(w_3, s)
    w = affine(w + w_4)
    P_1 = outer(q, q)
    P_2 = div(P_1, s)
    P = affine(V - P_2)

at x
    output dot(w, x)
