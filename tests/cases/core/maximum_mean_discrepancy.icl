program maximum_mean_discrepancy(d, width = 1)

tokens (a)* (b)* query  visible context
    x : vector[d] on a, query
    z : vector[d] on b

at a
    r = rtw(mean[j in a](exp(-dot(x - x[j], x - x[j]) / (2 * width ^ 2))))
at b
    r_1 = rtw(mean[j in b](exp(-dot(z - z[j], z - z[j]) / (2 * width ^ 2))))
    r_2 = rtw(mean[j in a](exp(-dot(z - x[j], z - x[j]) / (2 * width ^ 2))))
    r = affine(r_1 - 2 * r_2)

at query
    output_squared_1 = rtw(mean[j in a](r[j]))
    output_squared_2 = rtw(mean[j in b](r[j]))
    output squared = affine(output_squared_1 + output_squared_2)
    output_witness_1 = rtw(mean[j in a](exp(-dot(x - x[j], x - x[j]) / (2 * width ^ 2))))
    output_witness_2 = rtw(mean[j in b](exp(-dot(x - z[j], x - z[j]) / (2 * width ^ 2))))
    output witness = affine(output_witness_1 - output_witness_2)
