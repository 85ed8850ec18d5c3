# 5. The nearest example
#
# The query answers with the label of the example whose x is nearest to its own, by Euclidean distance; where several are
# as near, with the mean of theirs.
program puzzle_5(d)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

at query
    output 0                           # write the read that gives it
