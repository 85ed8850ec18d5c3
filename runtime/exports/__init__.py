"""Folders for other libraries: unmodified transformers (GPT-2, Llama), TransformerLens, ONNX and GGUF.

    in       Weights
    out      a folder that they load, with a README whose example runs

Read first export.py, then libraries.py, which says who writes what; of those first huggingface.py.
"""
