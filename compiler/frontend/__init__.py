"""From a tree to one that is known to be right: names, shapes, reads and loops checked, definitions and gradients
written out.

    in       Program, parameters
    out      diagnostics, each with place and mend; a program without `def` and `grad`, its parameters bound

Read first check.py, which lists the checks, and desugar.py; then bind.py (parameters) and autodiff.py (`grad`).
"""
