# The labels of the k nearest examples, of all where there are fewer, weighed by the inverse distance.
program nearest_neighbours_by_distance(d, k = 3, examples = 12, far = 1000)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = sum[j in example](1)
e : vector[examples] = 0               # an example's number, as a unit vector
repeat examples as t
    e = e + ((n > t - 0.5) - (n > t + 0.5)) * identity(examples)[t]

taken : vector[examples] = 0
total = 0
weight = 0
count = 0
at query
    repeat k
        next = argmax[j in example](2 * dot(x, x[j]) - dot(x[j], x[j]) - far * dot(taken, e[j]), [y[j], dot(x[j], x[j]) - 2 * dot(x, x[j]), e[j]])
        another = n > count + 0.5
        count = count + another
        near = another / sqrt(max(next[2] + dot(x, x), 1e-12))
        total = total + near * next[1]
        weight = weight + near
        taken = taken + next[3:examples + 2]
    output total / max(weight, 1e-12)
