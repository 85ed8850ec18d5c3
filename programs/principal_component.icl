# The first principal component of the tokens so far, by power iteration.
# Source: von Mises & Pollaczek-Geiringer 1929, "Praktische Verfahren der Gleichungsauflösung",
# ZAMM 9.
program principal_component(d, steps = 20)

tokens (s)*
    s : vector[d]

v : vector[d] = 1 / sqrt(d)
repeat steps
    v = mean[j in s](dot(v, s[j]) * s[j])
    v = v / sqrt(dot(v, v))

output v
