program forward_backward(states, symbols, start : vector[states], T : matrix[states, states], E : matrix[states, symbols], steps = 20)

tokens (step)* end  visible context
    s : onehot[symbols] on step

at step
    e = affine(E @ s)
    f = start
    b : vector[states] = 1
scan step up to steps
    p_1 = mul(e, f)
    p_2 = dot(e, f)
    p = div(p_1, p_2)
    f = affine(p @ T)
scan step backwards up to steps
    after = b
    b_1 = mul(e, b)
    b_2 = affine(T @ b_1)
    b_3 = dot(e, b)
    b = div(b_2, b_3)

at step
    output_1 = mul(p, after)
    output_2 = dot(p, after)
    output div(output_1, output_2)
