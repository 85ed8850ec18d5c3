# Training the two-layer network of the prompt, by backpropagation, in the pass.
# Source: Rumelhart et al. 1986, "Learning representations by back-propagating errors", Nature 323;
# inside a transformer: Panigrahi et al. 2023, "Trainable transformer in transformer"
# (arXiv 2307.01189).
program mlp_gradient_descent(d, hidden, steps = 5, rate = 0.1)

tokens network (example)* query  visible context
    W : matrix[hidden, d] on network
    a : vector[hidden] on network
    x : vector[d] on example, query
    y : scalar on example

W = move W from first network
a = move a from first network
repeat steps
    at example
        z = tanh(W @ x)                # forward
        e = dot(a, z) - y
        b = e * a * (1 - z ^ 2)        # backward
    a = a - rate * mean[j in example](e[j] * z[j])
    W = W - rate * mean[j in example](outer(b[j], x[j]))

at query
    output dot(a, tanh(W @ x))
