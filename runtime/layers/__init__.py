"""What the layers of the forward pass compute, on packed weights.

stream [batch, tokens, width], a packed sublayer   →   the stream after it

`steps.py` runs one sublayer after the other, with `attention.py`, `delta_rule.py` and `functions.py`, which sum by
`reductions.py`; `turns.py` runs a scan's passes, each at the token whose turn it is. `forward.py`, a room above, makes
one jitted function of it.
"""
