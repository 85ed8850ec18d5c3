program faulty(d, steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0

def unknown(a)
    b = a + w
    repeat c
        rate = 2
    at x
        output b
    output e

def wide(a)
    M : matrix[size(a), 2] = a
    output M

def total(v)
    t = sum(v)
    output t

b = wide(w)
c = mean[j in y](total(u[j]))
e = grad[w](total(w))
f = size(rate)

at x
    output dot(w, x)
