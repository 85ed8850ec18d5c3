# 10. A function of your own
#
# Online, as before, and sparse: after each update w ← w + rate (y − w · x) x, every component of w is brought nearer to 0
# by rate · penalty, and stays at 0 where it would cross it. Inputs and labels are tokens of their own again, and
# every x answers with w · x for the w of the last label before it. Say the shrinking with a `def`.
program puzzle_10(d, examples = 8, rate = 0.3, penalty = 0.2)

tokens (x y)* x
    x : vector[d]
    y : scalar

at x
    output 0                           # write what comes before it, too
