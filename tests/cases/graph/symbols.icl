# Symbols, moves past the beginning, and a field on two kinds.
program symbols(v = 3)

tokens (a b)*
    s : onehot[v] on a, b
    t : onehot[v] on b

p = move s from previous
f = move t from first b
output p + 2 * s + 4 * f + sum[j in b](dot(s, t[j]) * s[j])
