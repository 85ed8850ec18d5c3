# Lloyd's algorithm with soft assignments, started from the prompt's centres.
# Source: Lloyd 1982, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2).
program k_means(d, k, steps = 10, sharpness = 100, floor = 0.001)

tokens start (point)*  visible context
    C : matrix[k, d] on start          # the first centres
    s : vector[d] on point

one : vector[d] = 1
C = move C from first start
repeat steps
    at point
        a = softmax(sharpness * (C @ s - C ^ 2 @ one / 2))  # 1 at the nearest centre
    n = mean[j in point](a[j])
    C = C + (mean[j in point](outer(a[j], s[j])) - outer(n, one) * C) / outer(max(n, floor), one)

at point
    output a @ C
