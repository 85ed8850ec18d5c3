program mlp_gradient_descent(d, hidden, steps = 5, rate = 0.1)

tokens network (example)* query  visible context
    W : matrix[hidden, d] on network
    a : vector[hidden] on network
    x : vector[d] on example, query
    y : scalar on example

W = move W from first network
a = move a from first network
repeat steps
    at example
        z_1 = dot(W, x)
        z = tanh(z_1)
        e_1 = dot(a, z)
        e = affine(e_1 - y)
        b_1 = mul(e, a)
        b_2 = mul(z, z)
        b_3 = affine(1 - b_2)
        b = mul(b_1, b_3)
    a = rtw(a - rate * mean[j in example](mul(e[j], z[j])))
    W = rtw(W - rate * mean[j in example](outer(b[j], x[j])))

at query
    output_1 = dot(W, x)
    output_2 = tanh(output_1)
    output dot(a, output_2)
