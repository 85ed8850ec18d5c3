# t and rate start from constants and read only constants; x does not.
program constant_steps()

tokens (x)*
    x : scalar in [-1, 1]

w : scalar = 0
t = 1
rate = 0.5
repeat 3
    w = w - rate / t * (tanh(w) - x)
    t = t + 1
    rate = rate * 0.5
output w
