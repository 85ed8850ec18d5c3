"""What transformers are held against: recurrent networks and linear attention, of equinox, trained as models here are.

    before   weights of a program, of which they take the tokens and the output; a kind, a width, layers
    after    a Baseline: what `train` takes as it takes a Model. It has outputs and parameters, and is no Weights

    DIR/baseline.json         its kind, width and layers, and what it was trained on
        numbers.safetensors   its parameters, by name
        tokens                the tokens and the output that it has: a transformer that is not trained

lstm, gru         (Hochreiter and Schmidhuber 1997; Cho et al. 2014) so many cells, each on the states of the one below
linear_attention  (Katharopoulos et al. 2020) layers of one causal head with φ(z) = elu(z) + 1, and an MLP of 4 times
                  the width, LayerNorm before each:

    oₜ = Σ_{j ≤ t} (φ(qₜ) · φ(kⱼ)) vⱼ / Σ_{j ≤ t} φ(qₜ) · φ(kⱼ)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError, counted
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.memory import spend
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import BaselineName
from innerloop.runtime.surroundings import key, promoting, settled
from safetensors import SafetensorError
from safetensors.numpy import save as save_tensors

from .architecture import TRAINED, blank
from .checkpoint import checksum, tensors
from .model import Array, Model, Tree

KINDS: tuple[BaselineName, ...] = get_args(BaselineName)
FACTS, NUMBERS, TOKENS = "baseline.json", "numbers.safetensors", "tokens"


@dataclass(frozen=True, eq=False)
class Baseline(Model):
    """A network of equinox as `train` takes it. `network`: it, with what does not train; `leaves`: the order in which
    its parameters stand in it."""

    kind: BaselineName
    width: int
    layers: int
    network: Any
    leaves: tuple[str, ...]

    @staticmethod
    def drawn(kind: BaselineName, like: Weights, seed: int, *, width: int, layers: int = 2) -> Baseline:
        """Random numbers, as equinox draws them.

        Raises InnerloopError for a kind that there is not, for sizes below 1, and without equinox."""
        if kind not in KINDS:
            raise InnerloopError(f"{kind}: no such baseline; there are {', '.join(KINDS)}")
        if min(width, layers) < 1:
            raise InnerloopError(f"width={width}, layers={layers}: must be 1 or more")
        equinox = _equinox()
        with settled(like.config.dtype):
            sizes = FeatureLayout.of(like.signature).size, width, like.readout.shape[1]
            shapes = equinox.filter_eval_shape(_network, kind, sizes, layers, key(seed))
            taken = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes) if hasattr(leaf, "dtype"))
            what = f"training {counted(layers, 'layer')} of width {width:,}: numbers, gradients and Adam's moments"
            spend(TRAINED * taken, what, "train a smaller one")
            network = _network(kind, sizes, layers, key(seed))
        parameters, rest = equinox.partition(network, equinox.is_array)
        paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
        named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}
        still = jax.tree.structure(parameters), rest
        return Baseline(blank(like), named, {}, kind, width, layers, still, tuple(named))

    @property
    def libraries(self) -> tuple[str, ...]:
        """As a Model's."""
        return ("equinox",)

    @property
    def variant(self) -> str:
        """Its kind and sizes."""
        return f"{self.kind} of {counted(self.layers, 'layer')} of width {self.width}"

    @property
    def architecture(self) -> str:
        """As a Model's."""
        return self.variant

    def apply(self, parameters: Tree, fields: Mapping[str, Array]) -> Array:
        """As a Model's."""
        with promoting():
            rows, features = self._features(fields)
            found = self._run(parameters, features)[:, rows]
            return found.reshape(*found.shape[:2], *self.template.output.shape)

    def streams(self, parameters: Tree, fields: Mapping[str, Array], every: int = 2) -> Array:
        """Its outputs [1, batch, tokens, numbers] at all tokens of the data: it has no residual stream."""
        with promoting():
            _, features = self._features(fields)
            return self._run(parameters, features)[None, :, 1:]

    def weights(self, parameters: Tree, trained: str = "") -> Weights:
        """Raises InnerloopError: it is no transformer of the project's."""
        raise InnerloopError("a baseline is no transformer: it has outputs (`apply`) and parameters, and no weights")

    def save(self, parameters: Tree, trained: str, folder: Path) -> None:
        """Writes it to a folder, see above; `trained`: on what, in words."""
        folder.mkdir(parents=True, exist_ok=True)
        self.template.save(folder / TOKENS)
        content = save_tensors({name: np.array(value, order="C") for name, value in parameters.items()})
        facts = {"kind": self.kind, "width": self.width, "layers": self.layers, "trained": trained,
                 "checksum": checksum(content)}  # fmt: skip
        (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / NUMBERS).write_bytes(content)

    @staticmethod
    def load(folder: Path) -> tuple[Baseline, str]:
        """What `save` wrote, its parameters those that were trained; and on what. Raises DataError for a folder that is
        not whole and sound."""
        try:
            facts = json.loads((folder / FACTS).read_bytes())
            content = (folder / NUMBERS).read_bytes()
            kind, width, layers, trained = (facts[name] for name in ("kind", "width", "layers", "trained"))
            found = tensors(content, facts["checksum"], NUMBERS)
            if kind not in KINDS or not all(type(size) is int and size > 0 for size in (width, layers)):
                raise ValueError(f"{kind} of {layers} layers of width {width}")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no whole baseline ({error}): train it again") from None
        model = Baseline.drawn(kind, Weights.load(folder / TOKENS), 0, width=width, layers=layers)
        own, kept = ({name: (v.shape, v.dtype) for name, v in each.items()} for each in (model.parameters, found))
        if kept != own or not all(np.isfinite(value).all() for value in found.values()):
            raise DataError(f"{folder / NUMBERS}: other numbers than {model.variant} has: train it again")
        with settled(model.config.dtype):
            numbers = {name: jnp.asarray(found[name]) for name in model.leaves}
        return replace(model, parameters=numbers), str(trained)

    def _run(self, parameters: Tree, features: Array) -> Array:
        structure, rest = self.network
        moving = jax.tree.unflatten(structure, [parameters[name] for name in self.leaves])
        return jax.vmap(_equinox().combine(moving, rest))(features)


def is_baseline(folder: Path) -> bool:
    """Whether a folder is one of a baseline, and not of weights."""
    return (folder / FACTS).is_file()


def _equinox() -> Any:
    try:
        import equinox
    except ImportError:
        raise InnerloopError("baselines take equinox: pip install 'innerloop[baselines]'") from None
    return equinox


def _network(kind: BaselineName, sizes: tuple[int, int, int], layers: int, key: Array) -> Any:
    """A function of features [tokens, inputs], sizes (inputs, width, outputs), with its numbers."""
    from . import networks

    of_inputs, of_outputs, *of_layers = jax.random.split(key, 2 + layers)
    inputs, width, outputs = sizes
    block = networks.Block if kind == "linear_attention" else networks.Recurrent
    body = [block(kind, width, one) for one in of_layers]
    return networks.Stack(inputs, width, outputs, body, of_inputs, of_outputs)
