# A fixed non-linear layer, and gradient descent on top of it.
# Source: von Oswald et al. 2022, "Transformers learn in-context by gradient descent",
# Proposition 2 (arXiv 2212.07677): an MLP embeds the inputs, sine waves for one.
program deep_features(d, m, A : matrix[m, d], c : vector[m], steps = 1, rate = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at x
    z = tanh(A @ x + c)
at y
    u = move z from previous

w : vector[m] = 0
repeat steps
    w = w - rate * grad[w](mean[j in y]((dot(w, u[j]) - y[j]) ^ 2 / 2))

at x
    output dot(w, z)
