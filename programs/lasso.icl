# Lasso by proximal gradient steps (ISTA).
# Source: Daubechies et al. 2004, "An iterative thresholding algorithm for linear inverse problems
# with a sparsity constraint" (arXiv math/0307152); in context: Bai et al. 2023, "Transformers
# as statisticians" (arXiv 2306.04637).
program lasso(d, steps = 50, rate = 0.1, penalty = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

def shrink(v, t) = relu(v - t) - relu(-v - t)

at y
    u = move x from previous

w : vector[d] = 0
repeat steps
    w = shrink(w - rate * grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2)), rate * penalty)

at x
    output dot(w, x)
