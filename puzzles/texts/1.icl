# 1. The mean label
#
# Each example holds a number y. The query answers with the mean of y over all examples.
# `mean[j in example](…)` reads the examples; `y[j]` is what the example that is read holds.
program puzzle_1(d)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output 0                           # write the read that gives it
