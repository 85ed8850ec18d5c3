# Which of two symbols came after my last four the more often.
program pair_moves()

tokens (s)*
    s : onehot[2]

p = move s from previous
q = move s from previous 2
r = move s from previous 3
t = move s from previous 4
output sum[j in s](dot(s, p[j]) * dot(p, q[j]) * dot(q, r[j]) * dot(r, t[j]) * s[j]) / (1 + sum[j in s](dot(s, p[j]) * dot(p, q[j]) * dot(q, r[j]) * dot(r, t[j])))
