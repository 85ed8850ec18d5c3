"""Programs as differentiable functions: the graph run in JAX, its real parameters free.

    in       a program's text; which parameters are free
    out      a pure function of parameters and one task's fields: jit it, vmap it over tasks, differentiate it in either

Read first opened.py (how a parameter becomes free), then evaluate.py, which is the oracle (compiler/interpreter) in
JAX.
"""

TOGETHER = 128
"""Tasks that are run at once: the values of more leave the processor's cache."""
