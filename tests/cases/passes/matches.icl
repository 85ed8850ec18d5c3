# What followed my last two symbols, of all that did, and the same with a prior.
program matches(v = 3)

tokens (s)*
    s : onehot[v]

p = move s from previous
q = move s from previous 2
n = sum[j in s](dot(s, p[j]) * dot(p, q[j]) * s[j])
m = sum[j in s](dot(s, p[j]) * dot(p, q[j]))
output plain = n / m
output prior = (1 + n) / (sum(n) + 2 * m + 5)
