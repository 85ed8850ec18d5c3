"""Folders for other libraries: unmodified transformers (GPT-2, Llama) and TransformerLens.

    in       Weights
    out      a folder that they load, with a README whose example runs

Read first export.py, then one of huggingface.py, llama.py and transformerlens.py.
"""
