"""The language in editors: a language server, and highlighting.

    in       a text as it is typed, sound or not; a place in it
    out      faults, what a name is, what may be typed here, where a name comes from, its other name; coloured words

Nothing here computes: of the compiler `syntax` and `frontend` are imported, and neither JAX nor NumPy is loaded. Read
first occurrences.py (what each name is) and analysis.py, then server.py. `vscode/` is an extension that starts the
server; docs/editors.md says how to set up others.
"""
