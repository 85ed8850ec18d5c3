program preconditioned_gradient_descent(d, steps = 1, A : matrix[d, d] = identity(d))

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w = rtw(w - A @ mean[j in y](mul(dot(w, u[j]) - y[j], u[j])))

at x
    output dot(w, x)
