# One gradient step on xₜ₊₁ = W xₜ at every prefix, W complex.
# Source: Zheng et al. 2024, "On mesa-optimization in autoregressively trained transformers:
# emergence and capability" (arXiv 2405.16845).
program ar_mesa_optimizer(d, rate = 0.2)

tokens start (step)*
    x : matrix[d, 2] on start, step    # real and imaginary column

i = [[0, 1], [-1, 0]]                  # x @ i is √−1 · x
at step
    p = move x from previous
    q = p @ i
    z = x @ i
    output rate * mean[j in step](sum(p[j] * x) * x[j] + sum(q[j] * x) * z[j])
