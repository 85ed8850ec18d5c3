"""Numbers as neurons and heads: what approximates a product, a function or a switch, and how exactly. Knows no graph.

    in       a function and its interval, a precision
    out      banks of squares, fitted curves, gates of attention, with the error of each

Read first functions.py (what a function is), square_banks.py (a product as squares) and fit_smooth.py (a function as
neurons); then fit_geometric.py, attention_gates.py and linear_by_softmax.py.
"""
