program finite_automaton(states, symbols, edges, start : vector[states], tail : matrix[edges, states], label : matrix[edges, symbols], head : matrix[edges, states], length = 40)

tokens (s)*
    s : onehot[symbols]

q : vector[states] = start
scan s up to length
    taken_1 = affine(tail @ q)
    taken_2 = affine(label @ s)
    taken = mul(taken_1, taken_2)
    q = affine(taken @ head)

output q
