# A prototypical network's head: softmax over distances to the classes' means.
# Source: Snell, Swersky and Zemel 2017, "Prototypical networks for few-shot learning", NeurIPS.
program prototypical_network(d, classes)

use statistics

tokens (support)* (query)*
    x : vector[d] on support, query
    c : onehot[classes] on support

ones : vector[d] = 1
at query
    n = sum[j in support](c[j])
    M = ratio(sum[j in support](outer(c[j], x[j])), outer(n, ones))  # the prototypes
    output softmax(2 * M @ x - row_sums(M * M))
