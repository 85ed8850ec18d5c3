program lasso(d, steps = 50, rate = 0.05, penalty = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w_1 = rtw(w - rate * mean[j in y](mul(dot(w, u[j]) - y[j], u[j])) - rate * penalty)
    w_2 = relu(w_1)
    w_3 = rtw(-(w - rate * mean[j in y](mul(dot(w, u[j]) - y[j], u[j]))) - rate * penalty)
    w_4 = relu(w_3)
    w = affine(w_2 - w_4)

at x
    output dot(w, x)
