program deep_features(d, m, A : matrix[m, d], c : vector[m], steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at x
    z_1 = affine(A @ x + c)
    z = tanh(z_1)
at y
    u = move z from previous

w : vector[m] = 0
repeat steps
    w = rtw(w - rate * mean[j in y](mul(dot(w, u[j]) - y[j], u[j])))

at x
    output dot(w, z)
