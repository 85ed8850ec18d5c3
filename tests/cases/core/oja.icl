program oja(d, length = 40, rate = 0.05)

tokens (s)*
    s : vector[d]

w : vector[d] = 1 / sqrt(d)
scan s up to length
    a = dot(w, s)
    w_1 = affine(rate * a)
    w_2 = mul(a, w)
    w_3 = affine(s - w_2)
    w_4 = mul(w_1, w_3)
    w = affine(w + w_4)

output w
