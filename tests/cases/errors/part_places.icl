program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

W : matrix[d, 2] = 0
a = w[0]
b = W[1, 3]
c = w[1, 2]
e = w[3:2]
f = w[w[1]]
g = w[w]
k = rate[1]

at x
    output dot(w, x)
