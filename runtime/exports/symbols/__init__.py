"""Programs of symbols as models of token ids: an embedding row a symbol, a head, a tokenizer.

    in       Weights whose fields are all one-hot
    out      what `AutoModelForCausalLM` and `AutoTokenizer` load

Read first tokens.py, then logits.py.
"""
