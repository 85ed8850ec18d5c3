program gradient_descent_by_grad(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w = rtw(w - rate * mean[j in y](mul(dot(w, u[j]) - y[j], u[j])))

at x
    output dot(w, x)
