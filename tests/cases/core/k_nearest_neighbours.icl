program k_nearest_neighbours(d, k = 3, examples = 12, far = 1000)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = rtw(sum[j in example](1))
e : vector[examples] = 0
repeat examples as t
    e_1 = n > t - 0.5
    e_2 = n > t + 0.5
    e = affine(e + (e_1 - e_2) * identity(examples)[t])

taken : vector[examples] = 0
total = 0
at query
    repeat k
        next = rtw(softmax[j in example](1000000 * (2 * dot(x, x[j]) - dot(x[j], x[j]) - far * dot(taken, e[j])), [y[j], e[j]]))
        total = affine(total + next[1])
        taken = affine(taken + next[2:examples + 1])
    output affine(total / k)
