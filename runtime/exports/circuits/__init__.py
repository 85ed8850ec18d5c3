"""Which edges between heads and MLPs carry a program, each patched exactly.

    in       Weights
    out      circuit.json and prompts, as edge attribution reads them

Read first circuit.py, then patching.py.
"""
