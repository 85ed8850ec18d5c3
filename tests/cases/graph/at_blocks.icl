# A name with a value of its own at each kind, replaced at one of them.
program at_blocks(d = 2, steps = 3)

tokens start (x y)* x
    a : vector[d] on start
    x : vector[d]
    y : scalar

v : vector[d] = 1
at x
    v = v + x
at start
    v = 2 * a
at y
    u = move v from previous
    v = u * y
repeat steps
    at x
        v = v / 2
    at y
        c = dot(v, u)
m = mean[j in y](v[j]) + mean[j in x](v[j])
at y
    n = c

at x
    output m - v + sum[j in y](n[j])
