program faulty(d)

tokens (x)*

output 1
