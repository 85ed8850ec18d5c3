program support_vector(d, steps = 50, ridge = 0.1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
t : scalar = 0
repeat steps
    t = affine(t + 1)
    at example
        g_1 = affine(-y)
        g_2 = dot(w, x)
        g_3 = mul(y, g_2)
        g_4 = g_3 < 1
        g = mul(g_1, g_4)
    w_1 = rtw(ridge * w + mean[j in example](mul(g[j], x[j])))
    w_2 = affine(ridge * t)
    w_3 = div(w_1, w_2)
    w = affine(w - w_3)

at query
    output dot(w, x)
