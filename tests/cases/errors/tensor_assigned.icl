program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

B : tensor[steps, d, d] = A
output x
