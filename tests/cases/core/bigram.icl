program bigram(vocabulary, prior = 1)

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
n = rtw(sum[j in s](mul(dot(p[j], s), s[j])))
output_1 = affine(prior + n)
output_2 = affine(sum(prior + n))
output div(output_1, output_2)
