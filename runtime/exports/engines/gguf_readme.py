"""The README of a folder of GGUF: what is in the file, how llama.cpp has to run it, and an example that runs."""

from __future__ import annotations

from innerloop.artifact.weights import Weights

from ..folder import Sample

HALF = 65504.0
"""The largest number of float16."""

_README = """\
# {name}

A program compiled into a transformer by innerloop; the program is in `program.icl`. `model.gguf` is a llama in float32.
As stock libraries' norms and activations round, the outputs are {error:.1e} off the float64 oracle at most on the tasks
below.{note} A sequence is a rest token, then `{pattern}`, {positions} tokens at most with it.

{what}

**In llama.cpp the cache has to be in float32** (`--cache-type-k f32 --cache-type-v f32`, and no flash attention; in
llama-cpp-python `Llama("model.gguf", type_k=0, type_v=0, flash_attn=False)`). Keys and values reach {largest:.1e} here;
{half} Nothing of this model stands quantising.

transformers reads the file, too, with the `gguf` package:

```python
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
{imports}
model = AutoModelForCausalLM.from_pretrained(".", gguf_file="model.gguf", dtype=torch.float32).eval()
tasks = load_file("tasks.safetensors")
{run}
print("largest difference from the oracle:", (output - tasks["output"]).abs().max().item())
```
{causal}"""

_SYMBOLS = """\
Ids: 0 is `<s>`, which stands before every text (and is said to be its end, since there is none); then {count} symbols,
by their number, as the pieces "▁0", "▁1" …: a text is symbols between spaces. The logits are of the next symbol, as
`program.icl` outputs them; id 0 has one far below the others. At temperature 0 it continues greedily."""
_NUMBERS = """\
It takes rows of {width} numbers for tokens (`llama_batch.embd`, or `inputs_embeds`): features @ `token_embd.weight`.
`fields.py` makes features from arrays, `features({fields})`. The output is in the logits, {first} of them."""

_RUN_SYMBOLS = """\
symbols = 1 + tasks["field.{field}"].argmax(-1)
ids = torch.cat([torch.zeros_like(symbols[:, :1]), symbols], 1)  # the rest token first
with torch.no_grad():
    output = model(ids).logits[:, 1:, 1:]"""
_RUN_NUMBERS = """\
x = features(**{{name.removeprefix("field."): array for name, array in tasks.items() if name != "output"}})
with torch.no_grad():
    rows_of_numbers = torch.from_numpy(x) @ model.get_input_embeddings().weight[: x.shape[2]]
    logits = model(inputs_embeds=rows_of_numbers{mask}).logits
output = logits[:, rows(x), :{size}]"""
_BOTH = """
Tokens see each other in both directions (`llama.attention.causal` is false), which transformers does not read from the
file: the mask of the example says it.
"""


def readme(weights: Weights, sample: Sample, symbols: bool, largest: float) -> str:
    """`symbols`: whether it is a token model; `largest`: the largest key or value of the tasks."""
    size, causal = weights.readout.shape[1], weights.config.causal
    fields = ", ".join(f"{field.name}={field.name}" for field in weights.signature.fields)
    what = _SYMBOLS.format(count=size)
    if not symbols:
        first = "the first" if size == 1 else f"the first {size}"
        what = _NUMBERS.format(width=weights.config.d_model, fields=fields, first=first)
    mask = "" if causal else ", attention_mask=torch.zeros(len(x), 1, x.shape[1], x.shape[1])"
    return _README.format(
        name=weights.signature.name,
        error=sample.error,
        note=sample.note,
        pattern=str(weights.signature.pattern),
        positions=weights.config.n_positions,
        what=what,
        largest=largest,
        half=f"float16, the default, ends at {HALF:,.0f}, and what overflows there makes every logit NaN."
        if largest > HALF
        else "float16, the default, rounds them to three digits.",
        imports="" if symbols else "\nfrom fields import features, rows\n",
        run=_RUN_SYMBOLS.format(field=weights.signature.fields[0].name)
        if symbols
        else _RUN_NUMBERS.format(mask=mask, size=size),
        causal="" if causal else _BOTH,
    )
