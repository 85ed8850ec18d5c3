# Subgradient descent on the loss that a prompt token names: l1, l2 or linf.
# Source: new here; steps of geometrically decaying length as in Goffin 1977, "On convergence
# rates of subgradient optimization methods", Math. Program. 13. One of l1, l2, linf is 1, the
# others 0, and the weights do not change with it.
program retargetable_gradient_descent(d, steps = 500, rate = 0.5, decay = 0.988, sharpness = 200, width = 1e-3)

tokens loss (example)* query  visible context
    l1 : scalar on loss in [0, 1]
    l2 : scalar on loss in [0, 1]
    linf : scalar on loss in [0, 1]
    x : vector[d] on example, query
    y : scalar on example

l1 = move l1 from first loss
l2 = move l2 from first loss
linf = move linf from first loss
w : vector[d] = 0
eta : scalar = rate
repeat steps
    at example
        r = dot(w, x) - y
        g = l2 * r + (l1 + linf) * clip(r / width, -1, 1)
        s = linf * sharpness * abs(r)              # 0: all examples alike; large: the worst alone
    w = w - eta * softmax[j in example](s[j], g[j] * x[j])
    eta = decay * eta

at query
    output dot(w, x)
