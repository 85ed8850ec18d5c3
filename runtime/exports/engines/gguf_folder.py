"""GGUF: model.gguf for llama.cpp and what else reads it, float32, of target llama.

    in       token models: ids, `<s>` first; their pieces are "▁0", "▁1" …, so that a text is symbols between spaces
             others: rows of d_model numbers (llama.cpp's `embd`), features @ token_embd
    out      logits: of the next symbol, or the program's outputs in the first places

The tensors are those of transformers' model (llama.py), of which llama.cpp turns queries and keys otherwise: pairs
(i, i + d_head/2) of a head are (2i, 2i + 1) there, so that rows are permuted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.memory import spend
from innerloop.artifact.parts import Attention
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.reference.forward import embedded as embedded_stream
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, roles
from innerloop.artifact.weights import Weights

from ..fields import module
from ..folder import Folder, Sample
from ..stock import llama
from ..symbols.tokens import continues, embedded, head
from ..symbols.vocabulary import Vocabulary
from ..tensors import Tensor, dense
from .gguf_readme import readme

_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""By transformers' name of a layer's part, GGUF's."""
SPACE = "▁"
"""A space, in a piece."""
COPIES = 3
"""Of the numbers in memory, as they are written."""
NORMAL, CONTROL = 1, 3
"""Types of a token, as llama.cpp numbers them."""


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the file. Raises InnerloopError where the `gguf` package is missing, for float64, and as llama.py
    does."""
    package()
    if weights.config.dtype == "float64":
        raise InnerloopError(
            f"{weights.signature.name} is compiled in float64, and model.gguf is written in float32, as llama.cpp "
            "computes: compile it with dtype float32 to export it"
        )
    _, *inner, norm = llama.tensors(weights)
    rows, read = _ends(weights)
    last = Tensor("output_norm.weight", norm.shape, norm.make)
    return [rows, *(_named(tensor, weights) for tensor in inner), last, read]


def package() -> Any:
    """The `gguf` package. Raises InnerloopError where it is missing."""
    try:
        import gguf
    except ModuleNotFoundError:
        raise InnerloopError("writing GGUF takes the gguf package: pip install 'innerloop[export]'") from None
    return gguf


def _named(tensor: Tensor, weights: Weights) -> Tensor:
    """layers.3.self_attn.q_proj.weight is blk.3.attn_q.weight; queries and keys are permuted."""
    _, layer, part = tensor.name.removesuffix(".weight").split(".", 2)
    name = f"blk.{layer}.{_LAYER[part]}.weight"
    if _LAYER[part] not in ("attn_q", "attn_k"):
        return Tensor(name, tensor.shape, tensor.make)
    return Tensor(name, tensor.shape, partial(_interleaved, tensor, weights.config.d_head))


def _interleaved(tensor: Tensor, size: int) -> Floats:
    """Rows i and i + size/2 of a head of that size, beside each other."""
    array = tensor.make()
    halves = array.reshape(-1, 2, size // 2, array.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))


def _ends(weights: Weights) -> tuple[Tensor, Tensor]:
    """token_embd and output, a row for each id both [ids, d_model]."""
    first, last, shape = "token_embd.weight", "output.weight", (len(_pieces(weights)), weights.config.d_model)
    if _symbols(weights):
        rows = partial(embedded, weights, Vocabulary.of(weights.signature))
        return Tensor(first, shape, rows), Tensor(last, shape, partial(head, weights))
    if weights.readout_bias.any():
        raise InnerloopError(f"{weights.signature.name} adds a bias to its output, which GGUF's llama has no place for")

    def read() -> Floats:
        found = np.zeros(shape)
        found[: weights.readout.shape[1]] = dense(weights.readout).T
        return found

    return Tensor(first, shape, partial(dense, weights.embedding, shape)), Tensor(last, shape, read)


def _symbols(weights: Weights) -> bool:
    """Whether it is a token model."""
    return continues(weights) and all(field.onehot for field in weights.signature.fields)


def _pieces(weights: Weights) -> list[str]:
    """What each id is called: symbols as a text has them, or features: roles, components of fields; where there are
    more outputs, those."""
    if _symbols(weights):
        first, *symbols = Vocabulary.of(weights.signature).names
        return [first, *(SPACE + symbol for symbol in symbols)]
    columns = FeatureLayout.of(weights.signature).fields
    names = [f"{name}[{i}]" for name, held in columns.items() for i in range(held.stop - held.start)]
    known = [f"<{name}>" for name in (*roles(weights.signature.pattern), *names)]
    return known + [f"<output[{i}]>" for i in range(len(known), weights.readout.shape[1])]


def write_gguf(path: Path, weights: Weights) -> None:
    """Writes a new file. Raises OSError."""
    gguf, of, pieces = package(), weights.config, _pieces(weights)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(weights.signature.name)
    writer.add_description(weights.signature.text)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(of.n_positions)
    writer.add_embedding_length(of.d_model)
    writer.add_block_count(of.n_layer)
    writer.add_feed_forward_length(max(1, of.d_mlp))
    writer.add_head_count(of.n_head)
    writer.add_head_count_kv(of.n_kv_head or of.n_head)
    writer.add_key_length(of.d_head)
    writer.add_value_length(of.d_head)
    writer.add_rope_dimension_count(of.d_head)
    writer.add_rope_freq_base(of.rope_theta)
    writer.add_layer_norm_rms_eps(of.norm_epsilon)
    writer.add_causal_attention(of.causal)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([0.0] * len(pieces))
    writer.add_token_types([CONTROL] + [NORMAL] * (len(pieces) - 1))
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id, writer.add_pad_token_id):
        add(0)  # without an end of its own llama.cpp takes id 2 for it
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    for tensor in tensors(weights):
        writer.add_tensor(tensor.name, np.ascontiguousarray(tensor.make(), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def largest_cached(weights: Weights, data: TokenData) -> float:
    """The largest key or value, in size, that a cache of these tasks holds, as they are before keys turn."""
    streams = [embedded_stream(weights, data)]
    forward(weights, data, observe=streams.append)
    largest = 0.0
    for stream, (_, part) in zip(streams, weights.unrolled(), strict=False):
        if isinstance(part, Attention):
            x = normalise(stream.reshape(len(stream), -1), part.norm, weights.config, OWN)
            largest = max(largest, *(float(np.abs(m.csr.T @ x).max(initial=0.0)) for m in (part.key, part.value)))
    return largest


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder. Raises InnerloopError where there is no memory for the file."""
    size = 4 * sum(tensor.size for tensor in tensors(weights))
    spend(COPIES * size, "the numbers of model.gguf, as they are written,", "compile for fewer examples or steps")
    symbols = _symbols(weights)
    text = readme(weights, sample, symbols, largest_cached(weights, sample.data))
    texts = {"README.md": text} | ({} if symbols else {"fields.py": module(weights, torch=False)})
    tasks = {"tasks.safetensors": sample.tensors(weights)}
    return Folder(texts, tasks, {"model.gguf": partial(write_gguf, weights=weights)})
