# Linear discriminant analysis with a ridge: a score for each class.
# Source: Fisher 1936, "The use of multiple measurements in taxonomic problems", Annals of
# Eugenics 7(2); the ridge: Friedman 1989, "Regularized discriminant analysis", JASA 84.
program linear_discriminant_analysis(d, classes, ridge = 0.1)

use linear_algebra
use statistics

tokens (example)* query  visible context
    x : vector[d] on example, query
    c : onehot[classes] on example

ones : vector[d] = 1
n = sum[j in example](c[j])
p = ratio(n, sum(n))
M = ratio(sum[j in example](outer(c[j], x[j])), outer(n, ones))  # the classes' means
S = mean[j in example](outer(x[j], x[j])) - transpose(M) @ diag(p) @ M
W = M @ inverse(shifted(S, ridge))

at query
    output W @ x - row_sums(W * M) / 2 + log(max(p, 0.01))
