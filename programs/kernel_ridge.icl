# Kernel ridge regression with a Gaussian kernel, by Chebyshev's iteration.
# Source: Saunders et al. 1998, "Ridge regression learning algorithm in dual variables", ICML; the
# iteration: Saad 2003, "Iterative methods for sparse linear systems", Algorithm 12.1.
program kernel_ridge(d, examples = 12, steps = 30, width = 1, ridge = 1)

tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example

def kernel(a, b) = exp(-dot(a - b, a - b) / (2 * width ^ 2))

radius = examples / 2                  # eigenvalues lie between ridge and ridge + examples
centre = ridge + radius
rho : scalar = radius / centre
at example
    a = 0                              # (K + ridge I) a = y
    p = y / centre
    repeat steps
        a = a + p
        next = 1 / (2 * centre / radius - rho)
        p = next * rho * p + 2 * next / radius * (y - ridge * a - sum[j in example](kernel(x, x[j]) * a[j]))
        rho = next

at query
    output sum[j in example](kernel(x, x[j]) * a[j])
