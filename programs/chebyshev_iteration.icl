# Least squares by Chebyshev's iteration: eigenvalues of XᵀX/n in an interval.
# Source: Saad 2003, "Iterative methods for sparse linear systems", Algorithm 12.1.
program chebyshev_iteration(d, steps = 8, low = 0.1, high = 8)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

centre = (high + low) / 2
radius = (high - low) / 2
rho : scalar = radius / centre
w : vector[d] = 0
r = mean[j in example](y[j] * x[j])    # the residual
step = r / centre
repeat steps
    w = w + step
    r = r - mean[j in example](dot(step, x[j]) * x[j])
    next = 1 / (2 * centre / radius - rho)
    step = next * rho * step + 2 * next / radius * r
    rho = next

at query
    output dot(w, x)
