program retargetable_loss_table(d, ramps, steps = 500, rate = 1.5, decay = 0.988)

tokens table (example)* query  visible context
    knot : vector[ramps] on table in [-1, 1]
    slope : vector[ramps] on table in [0, 50]
    rise : vector[ramps] on table in [0, 1]
    below : vector[ramps] on table in [0, 1]
    x : vector[d] on example, query
    y : scalar on example

at table
    start_1 = dot(below, rise)
    start = affine(-start_1)
knot = move knot from first table
slope = move slope from first table
rise = move rise from first table
start = move start from first table
w : vector[d] = 0
eta_1 = rtw(mean[j in example](dot(x[j], x[j])))
eta : scalar = div(rate, eta_1)
repeat steps
    at example
        z_1 = dot(w, x)
        z_2 = affine(z_1 - y - knot)
        z = mul(slope, z_2)
        g_1 = relu(z)
        g_2 = affine(z - rise)
        g_3 = relu(g_2)
        g = affine(start + sum(g_1 - g_3))
    w_1 = rtw(mean[j in example](mul(g[j], x[j])))
    w_2 = mul(eta, w_1)
    w = affine(w - w_2)
    eta = affine(decay * eta)

at query
    output dot(w, x)
