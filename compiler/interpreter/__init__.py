"""The oracle: a graph run in float64 on data, and what runs of it show.

    in       Graph, data by token
    out      every value at every token; the range of each; default tasks to run on

Read first oracle.py and reads.py, then calibrate.py (ranges) and default_tasks.py.
"""
