program read_exp_elsewhere()

tokens (x)* q
    x : scalar
    q : scalar

at q
    a = max[j in x](exp(q * x[j]))
    b = sum[j in x](tanh(exp(q * x[j])))
    output sum[j in x](1 / exp(q * x[j]) + exp(q * x[j]) ^ 2) + a + b
