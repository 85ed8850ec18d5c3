"""Model classes of transformers, and TransformerLens: a folder with the layout of variables and examples that run.

    in       Weights, a few tasks
    out      tensors and texts by the library's own names

Read first gpt2.py, then stock_folder.py; layout.py says how variables are read and written.
"""
