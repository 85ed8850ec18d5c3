"""Which edges between heads and MLPs carry a program, by exact patching.

    in       Weights
    out      circuit.json, as benchmarks of circuit finding read it, and the prompts that it holds for

Read first circuit.py, then patching.py.
"""
