"""The guard: what left the place where a construction is right, and whether the outputs are.

    in       Weights.layout, Weights.domains and Weights.inputs; what a forward pass looked at
    out      RangeWarning or RangeError that names value, layer, token and task

Read first guard.py and watches.py; interpreted.py holds each call against the float64 interpreter.
"""
