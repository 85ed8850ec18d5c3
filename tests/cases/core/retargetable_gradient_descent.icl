program retargetable_gradient_descent(d, steps = 500, rate = 1.5, decay = 0.988, sharpness = 200, width = 1e-3)

tokens loss (example)* query  visible context
    named : onehot[3] on loss
    x : vector[d] on example, query
    y : scalar on example

named = move named from first loss
l2 = dot([0, 1, 0], named)
linf = dot([0, 0, 1], named)
w : vector[d] = 0
eta_1 = rtw(mean[j in example](dot(x[j], x[j])))
eta : scalar = div(rate, eta_1)
repeat steps
    at example
        r_1 = dot(w, x)
        r = affine(r_1 - y)
        g_1 = mul(l2, r)
        g_2 = affine(1 - l2)
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
