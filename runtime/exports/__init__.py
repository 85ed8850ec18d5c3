"""Folders for other libraries: unmodified transformers (GPT-2, Llama) and TransformerLens.

    in       Weights
    out      a folder that they load, with a README whose examples run, and layout.json (docs/exports.md)

Read first export.py, then one of huggingface.py, llama.py and transformerlens.py.
"""
