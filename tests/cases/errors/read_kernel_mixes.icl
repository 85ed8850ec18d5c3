program read_kernel_mixes(d)

tokens (s)*
    x : vector[d] on s

def square(v) = dot(v, v)
output sum[j in s](exp(-square(x - x[j])) * x[j] + tanh(dot(x, x[j])) * x[j])
