"""A named value changed on its way: what is written where, the pass with the change, and whether what reads it follows.

in       weights, data, and what a variable is to be (`Patch`)
out      the outputs of such a pass; how far they are from the interpreter's counterfactual
first    patches.py, then patched.py and following.py
"""
