program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

a = max(dot(w, w))
b = max(identity(d))
c = argmax(dot(w, w))
e = max[j in y](u[j])
f = argmax[j in y](u[j], y[j])
g = argmax[j in y](y[j])
k = max[j in y](sigmoid(dot(w, u[j])))

at x
    output dot(w, x)
