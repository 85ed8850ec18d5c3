# The perceptron, labels −1 or 1: add the example if it is on the wrong side.
# Source: Rosenblatt 1958, "The perceptron: a probabilistic model for information storage and
# organization in the brain", Psychol. Rev. 65(6).
program perceptron(d, examples = 40)

tokens (x y)* x
    x : vector[d]
    y : scalar in [-1, 1]              # −1 or 1

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w = w + (y * dot(w, u) <= 0) * y * u  # a comparison is 1 or 0

at x
    output dot(w, x)                   # its sign is the label
