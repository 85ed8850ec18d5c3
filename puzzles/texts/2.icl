# 2. A count
#
# How many examples have a label above `level`? The query answers with their number.
program puzzle_2(d, level = 0.5)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output 0                           # write the read that gives it
