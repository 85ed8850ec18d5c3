# What followed the last times that my symbol came: the induction head.
# Source: Olsson et al. 2022, "In-context learning and induction heads" (arXiv 2209.11895):
# a head that looks at the previous token, then one that matches.
program induction_head(vocabulary, sharpness = 100)

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
output softmax[j in s](sharpness * dot(p[j], s), s[j])
