program retargetable_gradient_descent(d, steps = 500, rate = 0.5, decay = 0.988, sharpness = 200, width = 1e-3)

tokens loss (example)* query  visible context
    l1 : scalar on loss in [0, 1]
    l2 : scalar on loss in [0, 1]
    linf : scalar on loss in [0, 1]
    x : vector[d] on example, query
    y : scalar on example

l1 = move l1 from first loss
l2 = move l2 from first loss
linf = move linf from first loss
w : vector[d] = 0
eta : scalar = rate
repeat steps
    at example
        r_1 = dot(w, x)
        r = affine(r_1 - y)
        g_1 = mul(l2, r)
        g_2 = affine(l1 + linf)
        g_3 = affine(r / width)
        g_4 = clip(g_3, -1, 1)
        g_5 = mul(g_2, g_4)
        g = affine(g_1 + g_5)
        s_1 = affine(linf * sharpness)
        s_2 = abs(r)
        s = mul(s_1, s_2)
    w_1 = rtw(softmax[j in example](s[j], mul(g[j], x[j])))
    w_2 = mul(eta, w_1)
    w = affine(w - w_2)
    eta = affine(decay * eta)

at query
    output dot(w, x)
