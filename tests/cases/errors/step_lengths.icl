program p(d, steps = 3, rates : vector[steps] = 0.1, A : tensor[steps, d, d] = 0)

tokens (x)*
    x : vector[d]

w : vector[d] = 0
repeat steps as t
    w = w + rates[t + 1] * x
    w = w + A[steps - t] @ x
    w = w + A[t * t] @ x
    w = w + sum(rates[1:t]) * x
    w = w + sum(rates[t:t]) * x
repeat 4 as s
    w = w + [0.1, 0.2, 0.3][s] * x
output w
