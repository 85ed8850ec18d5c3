program retargetable_loss_table(d, knots, steps = 500, rate = 0.5, decay = 0.985)

tokens table (example)* query  visible context
    knot : vector[knots] on table
    slope : vector[knots] on table
    offset : scalar on table
    x : vector[d] on example, query
    y : scalar on example

knot = move knot from first table
slope = move slope from first table
offset = move offset from first table
w : vector[d] = 0
eta : scalar = rate
repeat steps
    at example
        g_1 = dot(w, x)
        g_2 = affine(g_1 - y - knot)
        g_3 = relu(g_2)
        g_4 = dot(slope, g_3)
        g = affine(offset + g_4)
    w_1 = rtw(mean[j in example](mul(g[j], x[j])))
    w_2 = mul(eta, w_1)
    w = affine(w - w_2)
    eta = affine(decay * eta)

at query
    output dot(w, x)
