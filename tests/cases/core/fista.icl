program fista(d, steps = 20, rate = 0.05, penalty = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
z : vector[d] = 0
t = 1
repeat steps
    before = w
    w_1 = rtw(z - rate * mean[j in y](mul(dot(z, u[j]) - y[j], u[j])) - rate * penalty)
    w_2 = relu(w_1)
    w_3 = rtw(-(z - rate * mean[j in y](mul(dot(z, u[j]) - y[j], u[j]))) - rate * penalty)
    w_4 = relu(w_3)
    w = affine(w_2 - w_4)
    next_1 = mul(t, t)
    next_2 = affine(1 + 4 * next_1)
    next_3 = sqrt(next_2)
    next = affine((1 + next_3) / 2)
    z_1 = affine(t - 1)
    z_2 = div(z_1, next)
    z_3 = affine(w - before)
    z_4 = mul(z_2, z_3)
    z = affine(w + z_4)
    t = next

at x
    output dot(w, x)
