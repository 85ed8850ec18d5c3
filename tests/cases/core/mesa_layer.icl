program mesa_layer(d, length = 50, ridge = 0.1)

tokens (s)*
    s : vector[d]

p = move s from previous
P : matrix[d, d] = identity(d) / ridge
B : matrix[d, d] = 0
scan s up to length
    q = dot(P, p)
    P_1 = outer(q, q)
    P_2 = dot(p, q)
    P_3 = affine(1 + P_2)
    P_4 = div(P_1, P_3)
    P = affine(P - P_4)
    B_1 = outer(s, p)
    B = affine(B + B_1)

output_1 = dot(P, s)
output dot(B, output_1)
