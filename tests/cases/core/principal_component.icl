program principal_component(d, steps = 20)

tokens (s)*
    s : vector[d]

v : vector[d] = 1 / sqrt(d)
repeat steps
    v = rtw(mean[j in s](mul(dot(v, s[j]), s[j])))
    v_1 = dot(v, v)
    v_2 = sqrt(v_1)
    v = div(v, v_2)

output v
