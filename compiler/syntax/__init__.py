"""Text and tree: the grammar, the nodes that it makes, and back to text.

    in       a program's text
    out      Program, a tree of frozen nodes with places; or CompileError with every fault

Read first nodes.py and grammar.lark, then parse.py, unparse.py and traversal.py.
"""
