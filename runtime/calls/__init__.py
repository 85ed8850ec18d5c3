"""What stands around a pass of a call: is it to be run, in pieces of which size, of which length, on which devices.

    in    weights, the settings of a model, the fields of a call
    out   tokens that fit, or an error; how many tasks go through at once; where arrays stand

Read `reading.py` first, then `way.py`.
"""
