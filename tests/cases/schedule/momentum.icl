# A state that another state's change reads is read as it was when the pass began.
program momentum()

tokens (y)*
    y : scalar in [-1, 1]

w : scalar = 0
v : scalar = 0
repeat 3
    v = 0.5 * v + mean[j in y](y[j] * w + y[j])
    w = w + v
output w
