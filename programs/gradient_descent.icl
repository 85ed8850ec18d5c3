# Batch gradient descent on half the mean squared error.
# Source: von Oswald et al. 2022, "Transformers learn in-context by gradient descent",
# Proposition 1 (arXiv 2212.07677).
program gradient_descent(d, steps = 1, rate = 0.1)

tokens (x y)* x                        # x₁ y₁ x₂ y₂ … xₙ : label after input, a query last
    x : vector[d]
    y : scalar

at y
    u = move x from previous           # one token now holds the whole example

w : vector[d] = 0
repeat steps
    w = w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])

at x
    output dot(w, x)
