program difference_under_a_root()

tokens (y)* query  visible context
    y : scalar

m = mean[j in y](y[j])
s = mean[j in y](y[j] * y[j])
at query
    output sqrt(s - m * m)
