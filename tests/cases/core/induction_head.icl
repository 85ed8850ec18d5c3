program induction_head(vocabulary, sharpness = 100)

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
output rtw(softmax[j in s](sharpness * dot(p[j], s), s[j]))
