"""What transformers are held against: recurrent networks and linear attention, of equinox, trained as models here are.

    before   weights of a program, of which they take the tokens and the output; a kind, a width, layers
    after    a Baseline: what `train` takes as it takes a Model. It has outputs and parameters, and is no Weights

lstm, gru         (Hochreiter and Schmidhuber 1997; Cho et al. 2014) so many cells, each on the states of the one below
linear_attention  (Katharopoulos et al. 2020) layers of one causal head with φ(z) = elu(z) + 1, and an MLP of 4 times
                  the width, LayerNorm before each:

    oₜ = Σ_{j ≤ t} (φ(qₜ) · φ(kⱼ)) vⱼ / Σ_{j ≤ t} φ(qₜ) · φ(kⱼ)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.weights import Weights
from innerloop.runtime.surroundings import key, promoting, settled

from .architecture import blank
from .model import Array, Model, Tree

Kind = Literal["lstm", "gru", "linear_attention"]
KINDS: tuple[Kind, ...] = ("lstm", "gru", "linear_attention")


@dataclass(frozen=True, eq=False)
class Baseline(Model):
    """A network of equinox as `train` takes it. `network`: it, with what does not train; `leaves`: the order in which
    its parameters stand in it."""

    network: Any
    leaves: tuple[str, ...]

    @staticmethod
    def drawn(kind: Kind, like: Weights, seed: int, *, width: int, layers: int = 2) -> Baseline:
        """Random numbers, as equinox draws them.

        Raises InnerloopError for a kind that there is not, for sizes below 1, and without equinox."""
        if kind not in KINDS:
            raise InnerloopError(f"{kind}: no such baseline; there are {', '.join(KINDS)}")
        if min(width, layers) < 1:
            raise InnerloopError(f"width={width}, layers={layers}: must be 1 or more")
        _equinox()
        with settled(like.config.dtype):
            sizes = FeatureLayout.of(like.signature).size, width, like.readout.shape[1]
            network = _network(kind, sizes, layers, key(seed))
        return Baseline.around(network, like)

    @staticmethod
    def around(network: Any, like: Weights) -> Baseline:
        """A module of equinox, features [1 + tokens, features] → outputs [1 + tokens, outputs], on the tokens of `like`
        after a rest token of zeros but for its flag."""
        template, equinox = blank(like), _equinox()
        parameters, rest = equinox.partition(network, equinox.is_array)
        paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
        named = {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in paths}
        return Baseline(template, named, {}, (jax.tree.structure(parameters), rest), tuple(named))

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

    def weights(self, parameters: Tree) -> Weights:
        """Raises InnerloopError: it is no transformer of the project's."""
        raise InnerloopError("a baseline is no transformer: it has outputs (`apply`) and parameters, and no weights")

    def _run(self, parameters: Tree, features: Array) -> Array:
        structure, rest = self.network
        moving = jax.tree.unflatten(structure, [parameters[name] for name in self.leaves])
        return jax.vmap(_equinox().combine(moving, rest))(features)


def _equinox() -> Any:
    try:
        import equinox
    except ImportError:
        raise InnerloopError("baselines take equinox: pip install 'innerloop[baselines]'") from None
    return equinox


def _network(kind: Kind, sizes: tuple[int, int, int], layers: int, key: Array) -> Any:
    """A function of features [tokens, inputs], sizes (inputs, width, outputs), with its numbers."""
    from . import networks

    of_inputs, of_outputs, *of_layers = jax.random.split(key, 2 + layers)
    inputs, width, outputs = sizes
    block = networks.Block if kind == "linear_attention" else networks.Recurrent
    body = [block(kind, width, one) for one in of_layers]
    return networks.Stack(inputs, width, outputs, body, of_inputs, of_outputs)
