# Under a visible context, functions of theirs with what all tokens share.
program shared(d = 2, steps = 2)

tokens head (example)* query  visible context
    a : vector[d] on head
    x : vector[d] on example, query
    y : scalar on example

a = move a from first head
b = mean[j in example](y[j] * x[j])
w = a
repeat steps
    w = w - 0.1 * mean[j in example]((tanh(dot(w, x[j])) - y[j]) * x[j]) + 0.1 * sum[j in example](relu(b * x[j] - a))
at example
    latest = move w from previous
at query
    f = move y from first example
    output softmax[j in example](dot(x, x[j]) * sigmoid(dot(b, x[j])), latest[j]) + f * w
