program kalman_smoother(d, F : matrix[d, d], h : vector[d], steps = 20, prior = 1, drift = 0.1, noise = 0.1)

tokens (step)* end  visible context
    y : scalar on step

m : vector[d] = 0
P : matrix[d, d] = prior * identity(d)
r : vector[d] = 0
scan step up to steps
    mu = m
    V = P
    k_1 = affine(V @ h)
    k_2 = affine(noise + h @ V @ h)
    k = div(k_1, k_2)
    e_1 = dot(h, mu)
    e = affine(y - e_1)
    m_1 = mul(e, k)
    m = affine(F @ (mu + m_1))
    P_1 = affine(V @ h)
    P_2 = outer(k, P_1)
    P = affine(F @ (V - P_2) @ transpose(F) + drift * identity(d))
scan step backwards up to steps
    g = affine(r @ F)
    r_1 = affine(noise + h @ V @ h)
    r_2 = div(e, r_1)
    r_3 = dot(k, g)
    r = affine(g + (r_2 - r_3) * h)

at step
    output_1 = dot(V, r)
    output affine(mu + output_1)
