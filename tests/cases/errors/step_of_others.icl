program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

w : vector[d] = 0
repeat steps as t
    v = move t from previous
    w = w + mean[j in x](t[j] * x[j]) + mean[t in x](x[t])
output w
