# The mean label of the k nearest examples.
# Source: Fix & Hodges 1951, "Discriminatory analysis: nonparametric discrimination"; Cover & Hart
# 1967, "Nearest neighbor pattern classification", IEEE Trans. Inf. Theory 13(1).
program k_nearest_neighbours(d, k = 3, examples = 12, far = 1000)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = sum[j in example](1)
e : vector[examples] = 0               # an example's number, as a unit vector
repeat examples as t
    e = e + ((n > t - 0.5) - (n > t + 0.5)) * identity(examples)[t]

taken : vector[examples] = 0
total = 0
at query
    repeat k
        next = argmax[j in example](2 * dot(x, x[j]) - dot(x[j], x[j]) - far * dot(taken, e[j]), [y[j], e[j]])
        total = total + next[1]
        taken = taken + next[2:examples + 1]
    output total / k
