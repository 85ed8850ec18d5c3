program conjugate_gradient(d, steps = d, ridge = 0.2, floor = 1e-9)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
b = rtw(mean[j in y](mul(y[j], u[j])))
size_1 = dot(b, b)
size = sqrt(size_1)
r = div(b, size)
p = r
repeat steps
    q = rtw(ridge * p + mean[j in y](mul(dot(u[j], p), u[j])))
    a_1 = dot(r, r)
    a_2 = dot(p, q)
    a_3 = max(a_2, floor)
    a = div(a_1, a_3)
    w_1 = mul(a, p)
    w = affine(w + w_1)
    s_1 = mul(a, q)
    s = affine(r - s_1)
    p_1 = dot(s, s)
    p_2 = dot(r, r)
    p_3 = max(p_2, floor)
    p_4 = div(p_1, p_3)
    p_5 = mul(p_4, p)
    p = affine(s + p_5)
    r = s

at x
    output_1 = dot(w, x)
    output mul(size, output_1)
