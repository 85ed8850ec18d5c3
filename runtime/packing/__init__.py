"""The weights as the pass in JAX takes them: dense, and without what can never change a result.

before   Weights, sparse
after    Parameters, a pytree of arrays

Read packed.py first (what a step holds), then pack.py.
"""
