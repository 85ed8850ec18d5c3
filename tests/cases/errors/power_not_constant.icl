program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

repeat steps as t
    w = x ^ t
    v = 2 ^ sum(x)
output w
