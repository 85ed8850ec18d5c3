"""The forward pass in NumPy, sublayer by sublayer: what compiling measures errors by, without JAX.

before   Weights and tokens
after    the outputs, in the arithmetic of this package or as stock libraries round

Read forward.py first.
"""
