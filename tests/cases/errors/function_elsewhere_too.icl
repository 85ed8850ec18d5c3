program function_elsewhere_too(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
W : matrix[d, d] = identity(d)
a = T(W)
b = tr(W)
c = zeros(d, d)
g = argmin(w)
h = stack(w, w)
at x
    output dot(w, x)
