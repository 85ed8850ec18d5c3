"""From sublayers and slots to matrices.

    in       Schedule, Allocation, Target
    out      the sublayers' weights, embedding and readout; where values stand, and where constructions are right

Read first emit.py and backend.py (what an architecture builds with), then residual_stream.py, heads.py and neurons.py.
"""
