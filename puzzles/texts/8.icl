# 8. What no head can mix
#
# Logistic regression by gradient descent: w ← w + rate · mean of (yⱼ − sigmoid(w · xⱼ)) xⱼ, from w = 0, in `steps`
# steps; y is 0 or 1. The query answers with sigmoid(w · x). Written as it stands, the sigmoid mixes what is mine, w,
# with what is theirs, xⱼ, and `innerloop check` refuses it. It says what to do; one change is in the line `tokens`.
program puzzle_8(d, steps = 3, rate = 1)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example in [0, 1]

w : vector[d] = 0
repeat steps
    w = w                              # write the step

at query
    output sigmoid(dot(w, x))
