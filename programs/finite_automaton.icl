# A finite automaton: its state after every symbol, from a list of transitions.
# Source: Minsky 1967, "Computation: finite and infinite machines", chapter 3: a neuron for each
# transition; transformers: Liu et al. 2022, "Transformers learn shortcuts to automata"
# (arXiv 2210.10749).
program finite_automaton(states, symbols, edges, start : vector[states], tail : matrix[edges, states],
                         label : matrix[edges, symbols], head : matrix[edges, states], length = 40)

tokens (s)*
    s : onehot[symbols]

q : vector[states] = start             # one-hot
scan s up to length
    taken = (tail @ q) * (label @ s)   # 1 at the edge that leaves q and is labelled s
    q = taken @ head

output q
