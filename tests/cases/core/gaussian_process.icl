program gaussian_process(d, examples = 12, width = 1, noise = 0.1)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = rtw(sum[j in example](1))
mu = 0
var = 1
L : vector[examples] = 0
repeat examples as t
    seen = rtw(sum[j in example]((n[j] > t - 0.5) - (n[j] > t + 0.5)))
    z = rtw(sum[j in example](mul((n[j] > t - 0.5) - (n[j] > t + 0.5), x[j])))
    M = rtw(sum[j in example](mul((n[j] > t - 0.5) - (n[j] > t + 0.5), L[j])))
    s = rtw(sum[j in example](mul((n[j] > t - 0.5) - (n[j] > t + 0.5), [var[j], y[j] - mu[j]])))
    c_1 = affine(x - z)
    c_2 = dot(c_1, c_1)
    c_3 = affine(-c_2 / (2 * width ^ 2))
    c_4 = exp(c_3)
    c_5 = mul(seen, c_4)
    c_6 = dot(L, M)
    c = affine(c_5 - c_6)
    l_1 = affine(noise + s[1])
    l_2 = sqrt(l_1)
    l = div(c, l_2)
    mu_1 = affine(s[2])
    mu_2 = mul(l, mu_1)
    mu_3 = affine(noise + s[1])
    mu_4 = sqrt(mu_3)
    mu_5 = div(mu_2, mu_4)
    mu = affine(mu + mu_5)
    var_1 = mul(l, l)
    var = affine(var - var_1)
    L = affine(L + l * identity(examples)[t])

at query
    output mean = mu
    output variance = var
