"""Architectures: what each target has to build with, and how its tokens find each other.

    in       a target's name; a relation between tokens ("the one before me")
    out      Target; the rule of position that a head follows

Read first targets.py and relation.py, then learned_positions.py and rotary_positions.py.
"""
