"""The README of a folder of a token model: what ids and logits are, and examples that run as they stand."""

from __future__ import annotations

from innerloop.artifact.weights import Weights

from ..folder import Sample
from .logits import SUM, leak
from .vocabulary import Vocabulary

_LOAD = """\
import json, torch
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = {auto}.from_pretrained(".", dtype=torch.{dtype}).eval()
tasks = json.load(open("tasks.json"))
with torch.no_grad():
    logits = model(**tokenizer(tasks["text"], return_tensors="pt")).logits
output = logits[:, tasks["rows"], {columns}]
print("largest difference from the oracle:", (output - torch.tensor(tasks["output"])).abs().max().item())
"""

_CAUSAL = """
`generate()` goes on, with the cache or without it; several prompts are padded on the left:

```python
prompts = tokenizer(["{long}", "{short}"], padding=True, return_tensors="pt")
found = model.generate(**prompts, max_new_tokens=6)
print(tokenizer.batch_decode(found, skip_special_tokens=True))
```

Without `generate()`, a padded batch needs its places too, since the model counts them from the first token that is no
padding: `model(**prompts, position_ids=(prompts["attention_mask"].cumsum(-1) - 1).clamp(0))`. There is no
end-of-text symbol: `max_new_tokens` says where to stop. `generate()` is greedy as it stands; `do_sample=True` draws
from {drawn}.
"""


def token_readme(weights: Weights, vocabulary: Vocabulary, sample: Sample, causal: bool) -> str:
    """`causal`: whether the outputs are logits of the next token; else they are classes of each token."""
    auto, columns = ("AutoModelForCausalLM", "1:") if causal else ("AutoModelForTokenClassification", ":")
    example = _LOAD.format(auto=auto, dtype=weights.config.dtype, columns=columns)
    names = list(vocabulary.names[1:])
    written = " ".join(names if len(names) <= 8 else [*names[:6], "…", names[-1]])
    text = f"""\
# {weights.signature.name}

A program of symbols compiled into a transformer by innerloop; the program is in `program.icl`. The weights are
{weights.config.dtype}; as the library's norms and activations round, the outputs are {sample.error:.1e} off the float64
oracle at most on the tasks below.{sample.note}{_ranges(weights)}

Token ids: 0 is `<s>`, a first token that the tokenizer puts before every text; then {written}, which
stand between spaces. A word that is none of them is an error of the tokenizer (`Missing [UNK] token`).
A sequence is `{weights.signature.pattern}`, of at most {weights.config.n_positions} tokens with `<s>`. Load the weights
as they are: of fewer bits they are another model, and nothing says so.

{_meaning(sample, causal)}

```python
{example}```
"""
    if not causal:
        return text
    prompt = [*names[:3], names[0]]
    drawn = "the softmax of what the program gives" if leak(sample.truth) is None else "the program's own probabilities"
    return text + _CAUSAL.format(long=" ".join([*names[:3]] * 2), short=" ".join(prompt), drawn=drawn)


def _ranges(weights: Weights) -> str:
    made = weights.report.certificate
    return f" Its ranges are from {made.calibrated}: where longer texts leave these it is wrong." if made else ""


def _meaning(sample: Sample, causal: bool) -> str:
    of = "the next symbol's" if causal else "its token's"
    where = "Id 0 has a logit far below the others." if causal else "There is a label for each component."
    more = leak(sample.truth)
    if more is None:
        return f"The logits are what the program gives, as it stands: {of} scores. {where}"
    line = f"The logits are the logarithms of {of} probabilities, so that their softmax is what the program gives.\n"
    zero = f"Where a probability is 0 it has a small one instead: in all they add up to {more:.0e} more than 1.\n"
    return line + (zero if more > SUM else "") + where
