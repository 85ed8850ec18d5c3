program adam(d, steps = 10, rate = 0.1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-2)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
m : vector[d] = 0
v : vector[d] = 0
p : scalar = 1
q : scalar = 1
repeat steps
    g = rtw(mean[j in y](mul(dot(w, u[j]) - y[j], u[j])))
    m = affine(beta1 * m + (1 - beta1) * g)
    v_1 = mul(g, g)
    v = affine(beta2 * v + (1 - beta2) * v_1)
    p = affine(beta1 * p)
    q = affine(beta2 * q)
    w_1 = affine(rate * m)
    w_2 = affine(1 - p)
    w_3 = div(w_1, w_2)
    w_4 = affine(1 - q)
    w_5 = div(v, w_4)
    w_6 = sqrt(w_5)
    w_7 = affine(w_6 + epsilon)
    w_8 = div(w_3, w_7)
    w = affine(w - w_8)

at x
    output dot(w, x)
