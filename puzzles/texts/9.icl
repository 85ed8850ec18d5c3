# 9. One after the other
#
# Least mean squares, online: the examples come one after the other, and each changes w once,
# w ← w + rate (y − w · x) x, beginning at w = 0. The query answers with w · x, for the w that the last one left.
program puzzle_9(d, examples = 8, rate = 0.3)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

w : vector[d] = 0                      # write a scan over the examples, below

at query
    output dot(w, x)
