program faulty(d, steps = 1, rate = 0.1)

tokens start (step)*
    x : vector[d] on start

output 1
