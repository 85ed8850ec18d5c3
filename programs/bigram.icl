# Probabilities of the next symbol from the bigrams so far, with Laplace's prior.
# Source: Edelman et al. 2024, "The evolution of statistical induction heads: in-context learning
# Markov chains" (arXiv 2402.11004).
program bigram(vocabulary, prior = 1)

tokens (s)*
    s : onehot[vocabulary]

p = move s from previous
n = sum[j in s](dot(p[j], s) * s[j])   # how often each symbol came after mine
output (prior + n) / sum(prior + n)
