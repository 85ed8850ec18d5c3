program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

repeat steps as t
    w = grad[t](dot(x, x) * t)
output w
