"""Passes: graph to graph, one a file, each verified after it has run.

    in       Graph as built
    out      Graph of what sublayers can do, with the fewest of them in a row

The passes in their order stand in ../passes.py. Read first rewriter.py, which all are written with, and
separate_reads.py, the heart.
"""
