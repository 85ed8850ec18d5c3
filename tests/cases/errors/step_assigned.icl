program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

t = 0
w : vector[d] = 0
repeat steps as s
    repeat 2 as s
        w = w + s * x
output w
