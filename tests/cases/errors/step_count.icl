program p(d, m = 3, steps = 3, rates : vector[m] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

w : vector[d] = 0
repeat steps as t
    repeat t
        w = clip(w + x, -t, t)
output w
