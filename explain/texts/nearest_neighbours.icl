# The mean label of the k nearest examples, of all where there are fewer.
program nearest_neighbours(d, k = 3, examples = 12, far = 1000)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = sum[j in example](1)
e : vector[examples] = 0               # an example's number, as a unit vector
repeat examples as t
    e = e + ((n > t - 0.5) - (n > t + 0.5)) * identity(examples)[t]

taken : vector[examples] = 0
total = 0
count = 0
at query
    repeat k
        next = argmax[j in example](2 * dot(x, x[j]) - dot(x[j], x[j]) - far * dot(taken, e[j]), [y[j], e[j]])
        another = n > count + 0.5
        total = total + another * next[1]
        count = count + another
        taken = taken + next[2:examples + 1]
    output total / max(count, 1)
