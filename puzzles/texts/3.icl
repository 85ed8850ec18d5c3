# 3. Mine and theirs
#
# The query answers with the mean of yⱼ (x · xⱼ) over the examples j, where x is its own input: the prediction of one
# step of gradient descent from w = 0, at rate 1.
program puzzle_3(d)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output 0                           # write the read that gives it
