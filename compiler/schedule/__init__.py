"""From a graph to sublayers and slots.

    in       Graph, ranges of its values, Target
    out      Instructions, then Schedule (which sublayer does each) and Allocation (which slots hold each atom),
             verified

Read first instructions.py, then lower.py, schedule.py and allocate.py; verify_schedule.py says what must hold.
"""
