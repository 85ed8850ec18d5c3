# A division takes an attention sublayer to itself, between two MLP sublayers that make ready and clean up.
program division()

tokens (x)*
    x : vector[2] in [-1, 1]

output x / (1 + dot(x, x))
