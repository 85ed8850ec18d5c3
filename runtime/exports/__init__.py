"""Folders for other libraries: unmodified transformers (GPT-2, Llama, Gemma, GPT-NeoX, Qwen2) and TransformerLens.

    in       Weights
    out      a folder that they load, with a README whose example runs

Read first export.py, then one of huggingface.py, llama.py, neox.py and transformerlens.py.
"""
