# Every function and operator, on scalars, vectors and matrices.
program functions(A : matrix[2, 2] = [[1, 2], [3, 4]])

tokens (x)*
    x : vector[2] in [-3, 3]

B : matrix[2, 2] = A @ A - 1
s = sum(x) / 2
r = affine(2 * x - A @ x + [1, 2] * s - B @ [1, 1])
p = x ^ 1 + x ^ 2 + (x - s) ^ 5
f = relu(x) + abs(x) + sign(x) + sigmoid(x) + tanh(x) + exp(x) + log(1 + x ^ 2) + sqrt(abs(x))
g = clip(x, -1, 1) + max(x, s) + min(0.5, x) + max(1, s) - min(s, -1)
c = (x < s) + 2 * (s <= x) + 4 * (x > 0) + 8 * (0 >= x)
h = div(x, s) + 1 / (1 + exp(s)) + x / [2, 4] + (x - x) / (s - s) + x / (1 + x ^ 2)
k = softmax(x) @ outer(x, r) @ A + mul(dot(A, x), -x) + softmax([1, 2]) * sqrt(2)
output r + p + f + g + c + h + k
