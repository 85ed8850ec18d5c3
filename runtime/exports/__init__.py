"""Folders for other libraries: transformers (GPT-2, Llama, Gemma, GPT-NeoX, Qwen2), TransformerLens, ONNX, GGUF …

    in       Weights
    out      a folder that they load, with a README whose examples run, and layout.json (docs/exports.md)

Read first export.py, then libraries.py, which says who writes what; of those first stock/gpt2.py.
"""
