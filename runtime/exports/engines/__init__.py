"""Files for engines: ONNX and GGUF.

    in       Weights, a few tasks
    out      model.onnx or model.gguf, and what runs it

Read first onnx_folder.py and gguf_folder.py.
"""
