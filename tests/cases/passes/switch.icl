# A relu by neurons would wait for the next MLP: one layer more for each pass.
program switch()

tokens (x)*
    x : scalar in [-1, 1]

m = mean[j in x](x[j])
w : scalar = 1
repeat 6
    w = relu(w - 0.1 * w * m)
output w
