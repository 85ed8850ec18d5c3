# Normalised LMS: an update whose length the input cannot change.
# Source: Haykin 2002, "Adaptive filter theory", 4th edition, chapter 6; a Kaczmarz step
# (Kaczmarz 1937) where epsilon is 0 and rate 1.
program normalized_least_mean_squares(d, examples = 40, rate = 0.5, epsilon = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = 0
scan y up to examples
    w = w + rate * (y - dot(w, u)) * u / (epsilon + dot(u, u))

at x
    output dot(w, x)
