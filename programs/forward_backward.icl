# A hidden Markov model: how likely each state is at each step, given all symbols.
# Source: Baum et al. 1970, "A maximization technique occurring in the statistical analysis of
# probabilistic functions of Markov chains", Ann. Math. Stat. 41(1).
program forward_backward(states, symbols, start : vector[states], T : matrix[states, states],
                         E : matrix[states, symbols], steps = 20)

tokens (step)* end  visible context
    s : onehot[symbols] on step

at step
    e = E @ s                          # how likely the symbol is in each state
    f = start
    b : vector[states] = 1
scan step up to steps
    p = e * f / dot(e, f)              # given the symbols so far
    f = p @ T
scan step backwards up to steps
    after = b                          # how likely what follows is
    b = T @ (e * b) / dot(e, b)

at step
    output p * after / dot(p, after)
