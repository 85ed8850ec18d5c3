# 7. Step by step
#
# Gradient descent on half the mean squared error, from w = 0, in `steps` steps. Step t = 1, 2, … goes at the rate
# rate / t:  w ← w − rate / t · mean of (w · xⱼ − yⱼ) xⱼ. The query answers with w · x.
program puzzle_7(d, steps = 3, rate = 0.4)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0
repeat steps as t
    w = w                              # write the step

at query
    output dot(w, x)
