# Nadaraya–Watson regression with a Gaussian kernel: softmax attention itself.
# Source: Nadaraya 1964, "On estimating regression", Theory Probab. Appl. 9(1); Watson 1964,
# "Smooth regression analysis", Sankhyā A 26(4).
program kernel_regression(d, width = 0.5)

tokens (x y)* x
    x : vector[d]
    y : scalar

def square(v) = dot(v, v)

at y
    u = move x from previous

at x
    output softmax[j in y](-square(x - u[j]) / (2 * width ^ 2), y[j])
