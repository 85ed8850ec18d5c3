# Lasso by accelerated proximal gradient steps (FISTA).
# Source: Beck & Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm for linear
# inverse problems", equations 4.1 to 4.3.
program fista(d, steps = 20, rate = 0.05, penalty = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

def shrink(v, t) = relu(v - t) - relu(-v - t)

at y
    u = move x from previous

w : vector[d] = 0
z : vector[d] = 0                      # where momentum has arrived
t = 1                                  # known when compiling, as what is made of constants alone
repeat steps
    before = w
    w = shrink(z - rate * grad[z](mean[j in y]((dot(z, u[j]) - y[j]) ^ 2 / 2)), rate * penalty)
    next = (1 + sqrt(1 + 4 * t ^ 2)) / 2
    z = w + (t - 1) / next * (w - before)
    t = next

at x
    output dot(w, x)
