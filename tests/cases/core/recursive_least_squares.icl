program recursive_least_squares(d, examples = 40, ridge = 0.1, forget = 0.98)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

P : matrix[d, d] = identity(d) / ridge
w : vector[d] = 0
scan y up to examples
    q = dot(P, u)
    s_1 = dot(u, q)
    s = affine(forget + s_1)
    w_1 = dot(w, u)
    w_2 = affine(y - w_1)
    w_3 = mul(w_2, q)
    w_4 = div(w_3, s)
    w = affine(w + w_4)
    P_1 = outer(q, q)
    P_2 = div(P_1, s)
    P = affine((P - P_2) / forget)

at x
    output dot(w, x)
