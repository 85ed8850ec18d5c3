program chebyshev_iteration(d, steps = 8, low = 0.1, high = 8)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

centre = (high + low) / 2
radius = (high - low) / 2
rho : scalar = radius / centre
w : vector[d] = 0
r = rtw(mean[j in example](mul(y[j], x[j])))
step = affine(r / centre)
repeat steps
    w = affine(w + step)
    r = rtw(r - mean[j in example](mul(dot(step, x[j]), x[j])))
    next_1 = affine(2 * centre / radius - rho)
    next = div(1, next_1)
    step_1 = mul(next, rho)
    step_2 = mul(step_1, step)
    step_3 = affine(2 * next / radius)
    step_4 = mul(step_3, r)
    step = affine(step_2 + step_4)
    rho = next

at query
    output dot(w, x)
