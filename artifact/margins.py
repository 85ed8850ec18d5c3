"""Margins: how far a value may leave the range that weights were compiled for, wherever that is asked."""

from __future__ import annotations

SLACK = 1e-3
"""As a share of the range's magnitude, for the rounding of the weights: what is out by less is said to be inside."""
ROOM = 2.0
"""So many times its range a slot, a query or a key may hold before norms, closed neurons and the rest token's logits
are no longer what the constructions take them for."""
