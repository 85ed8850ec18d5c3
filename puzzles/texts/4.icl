# 4. Two tokens an example
#
# Now an input and its label are tokens of their own: x₁ y₁ x₂ y₂ … xₙ. Every x answers with the sum of yⱼ (x · xⱼ) over
# the labels yⱼ before it, xⱼ being the input just before yⱼ. A label must fetch its input first.
program puzzle_4(d)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = 0                              # fetch the input: a move

at x
    output 0                           # and read u and y
