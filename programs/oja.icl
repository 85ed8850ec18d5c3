# Oja's rule: the principal component, learned online by one neuron.
# Source: Oja 1982, "A simplified neuron model as a principal component analyzer",
# J. Math. Biol. 15.
program oja(d, length = 40, rate = 0.05)

tokens (s)*
    s : vector[d]

w : vector[d] = 1 / sqrt(d)
scan s up to length
    a = dot(w, s)
    w = w + rate * a * (s - a * w)

output w
