"""The outline of saved weights: config.json decoded and consistent, to be filled with tensors.

before   the entries of config.json, the program's text; tensors by name
after    Contents, or a Fault that names what does not fit
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..claims import Domain, InputRange, Placement, Report
from ..contents import Contents
from ..features import FeatureLayout
from ..limits import DEEPEST, MOST_PASSES
from ..memory import spend
from ..outputs import OutputSpec
from ..parts import TAPS, Body, Config, Idle, Repeated, Sublayer
from ..signature import Kinds, Signature
from ..tokens import roles
from .compact import Tensors
from .serialize import Damage, decode, keyed, listed, parameters, record, text, whole
from .sound import sound_config, sound_inputs, sound_output, sound_placement, sound_report, sound_signature
from .take import Take


class Outline:
    """config.json, decoded and consistent: everything but the numbers of model.safetensors."""

    def __init__(self, entries: dict[str, Any], program: str) -> None:
        self.config: Config = record(Config, entries["config"], "config")
        sound_config(self.config)
        bound = parameters(entries["parameters"], "parameters")
        self.signature: Signature = record(
            Signature, entries["signature"], "signature", parameters=bound, text=program
        )  # fmt: skip
        sound_signature(self.signature)
        self.roles: tuple[str, ...] = decode(tuple[str, ...], entries["roles"], "roles")
        if self.roles != roles(self.signature.pattern):
            raise Damage(
                f"roles are {', '.join(self.roles)}; the pattern has {', '.join(roles(self.signature.pattern))}"
            )
        self.output: OutputSpec = record(OutputSpec, entries["output"], "output")
        kinds = self.signature.pattern.kinds
        sound_output(self.output, self.signature)
        self.inputs: tuple[InputRange, ...] = decode(tuple[InputRange, ...], entries["inputs"], "inputs")
        sound_inputs(self.inputs, self.signature)
        self._afford(entries)
        self.layout: tuple[Placement, ...] = decode(tuple[Placement, ...], entries["layout"], "layout")
        self.report: Report = record(Report, entries["report"], "report")
        sound_report(self.report, self.output)
        self.domains: tuple[Domain, ...] = decode(tuple[Domain, ...], entries.get("domains", []), "domains")
        self.live: tuple[Kinds, ...] = decode(tuple[Kinds, ...], entries.get("live", []), "live")
        self.final_norm: bool = self._norm(entries, "final_norm", "final_norm")
        self.body = entries["body"]
        stored, unrolled = self._count(self.body, "body", 0)
        if unrolled != 2 * self.config.n_layer:
            raise Damage(f"the body has {unrolled} sublayers; config.n_layer is {self.config.n_layer}, two each")
        for index, placement in enumerate(self.layout):
            sound_placement(placement, self.config, kinds, stored, f"layout[{index}]")
        if len(self.live) not in (0, stored):
            raise Damage(f"live is of {len(self.live)} sublayers; the body has {stored}")
        for index, some in enumerate(self.live):
            if not some <= set(kinds):
                raise Damage(f"live[{index}] has {', '.join(sorted(some - set(kinds)))}, and no such kind of token")
        for index, domain in enumerate(self.domains):
            self._verify_domain(domain, f"domains[{index}]", stored)

    def _afford(self, entries: dict[str, Any]) -> None:
        """A sparse matrix takes room for each of its rows, and the slots are what config.json says."""
        matrices = [*listed(entries["layout"], "layout"), *listed(entries.get("domains", []), "domains")]
        for k, each in enumerate(matrices):
            matrix = each.get("matrix") if isinstance(each, dict) else None
            shape = matrix.get("shape") if isinstance(matrix, dict) else None
            if isinstance(shape, list) and shape[:1] != [self.config.d_model]:
                part, index = ("layout", k) if k < len(entries["layout"]) else ("domains", k - len(entries["layout"]))
                width = self.config.d_model
                raise Damage(f"{part}[{index}].matrix has shape {str(shape)[:40]}; config.d_model is {width}")
        rows = len(matrices) * self.config.d_model + sum(_written(p, k) for k, p in enumerate(entries["layout"]))
        spend(24 * rows, "the places of named values", "the folder asks for too much")

    def _verify_domain(self, domain: Domain, place: str, stored: int) -> None:
        size = sum(domain.sizes)
        if len(domain.sizes) != len(domain.what) or min(domain.sizes, default=0) < 0:
            raise Damage(f"{place} has {len(domain.sizes)} sizes for {len(domain.what)} names")
        columns = size if domain.key is None else domain.key.shape[1]
        for name, matrix in (("matrix", domain.matrix), ("key", domain.key or domain.matrix)):
            if matrix.shape != (self.config.d_model, columns):
                raise Damage(f"{place}.{name} has shape {matrix.shape}, not {(self.config.d_model, columns)}")
        if domain.low.shape != (size,) or domain.high.shape != (size,) or not (domain.low <= domain.high).all():
            raise Damage(f"{place} has no range for each of its {size} columns")
        if not 0 <= domain.sublayer < stored + (not domain.after):
            raise Damage(f"{place} is of sublayer {domain.sublayer} of {stored}")
        if any(len(pair) != 2 or not 0 <= min(pair) <= max(pair) < size for pair in domain.pairs):
            raise Damage(f"{place} has a pair that is not two of its {size} columns")

    def _count(self, nodes: Any, place: str, start: int) -> tuple[int, int]:
        """The sublayers in the tree, stored and unrolled; verifies the nodes on the way. `start` are before it."""
        stored = unrolled = 0
        for index, node in enumerate(listed(nodes, place)):
            here = f"{place}[{index}]"
            if isinstance(node, dict) and "repeat" in node:
                if here.count(".body") >= DEEPEST:
                    raise Damage(f"body has loops nested more than {DEEPEST} deep")
                keyed(node, here, ("repeat", "scan", "body"), ("turn",))
                self._turn(node, here)
                if self.config.block == "parallel" and (start + stored) % 2:
                    raise Damage(f"{here} begins within a layer, of which attention and MLP read the same")
                inner, run = self._count(node["body"], f"{here}.body", start + stored)
                count = whole(node["repeat"], f"{here}.repeat")
                if not 0 <= count <= MOST_PASSES or inner % 2 or not inner:
                    raise Damage(f"{here} repeats {inner} sublayers {count} times, not a number of layers up to "
                                f"{MOST_PASSES} times")  # fmt: skip
                stored, unrolled = stored + inner, unrolled + count * run
                continue
            kind, size = self._sublayer(node, here)
            if kind != ("attention", "mlp")[(start + stored) % 2]:
                raise Damage(f"{here} is {kind}, where attention and mlp have to alternate")
            inside = self.config.n_head * self.config.d_head
            if kind == "attention" and size not in (None, inside):
                raise Damage(f"{here} has {size} head dimensions, not {self.config.n_head} × {self.config.d_head}")
            if kind == "mlp" and size is not None and not 0 <= size <= self.config.d_mlp:
                raise Damage(f"{here} has {size} neurons; config.d_mlp is {self.config.d_mlp}")
            stored, unrolled = stored + 1, unrolled + 1
        return stored, unrolled

    def _turn(self, node: dict[str, Any], place: str) -> None:
        scan = decode(bool, node["scan"], f"{place}.scan")
        if "turn" not in node:
            return
        turn, first = text(node["turn"], f"{place}.turn"), listed(node["body"], f"{place}.body")[:1]
        if turn not in self.signature.pattern.kinds:
            raise Damage(f"{place}.turn is {turn!r}, and no kind of token")
        if not (scan and self.config.causal and first and isinstance(first[0], dict) and "attention" in first[0]):
            raise Damage(f"{place}.turn is {turn!r}; only a causal scan that begins with attention has one")

    def _sublayer(self, node: Any, place: str) -> tuple[str, int | None]:
        """attention or mlp, and its head dimensions or neurons; None if it is idle. Verifies that config has such."""
        if isinstance(node, dict) and "idle" in node:
            return text(keyed(node, place, ("idle",))["idle"], f"{place}.idle"), None
        for of in ("linear", "delta"):
            if isinstance(node, dict) and (name := f"{of}_attention") in node:
                size = keyed(node, place, (name,))[name]
                if self.config.attention != of:
                    raise Damage(f"{place} is {of} attention; config.attention is {self.config.attention!r}")
                return "attention", whole(size, f"{place}.{name}")
        kind = "mlp" if isinstance(node, dict) and "mlp" in node else "attention"
        size = whole(keyed(node, place, (kind,), ("norm", "gate")[: 1 + (kind == "mlp")])[kind], f"{place}.{kind}")
        if kind == "mlp" and self.config.activation == "none":
            raise Damage(f"{place} is mlp; config.activation is 'none'")
        decode(bool, node.get("gate", False), f"{place}.gate")
        self._norm(node, "norm", f"{place}.norm")
        return kind, size

    def _norm(self, node: dict[str, Any], name: str, place: str) -> bool:
        """Whether there is a norm; where nothing is said, there is."""
        there: bool = decode(bool, node.get(name, True), place)
        if there != {"layernorm": True, "rmsnorm": True, "none": False}.get(self.config.norm, there):
            raise Damage(f"{place} is {there}; config.norm is {self.config.norm!r}")
        return there

    def largest(self) -> tuple[int, int]:
        """Bytes that model.safetensors has at most, its numbers and a header that names its tensors; and those that its
        arrays take in memory, however few numbers are not zero: a matrix takes 8 for each row."""
        config = self.config
        width, inside, size = config.d_model, config.n_head * config.d_head, prod(self.output.shape)
        features = FeatureLayout.of(self.signature).size
        numbers = width * (features + config.n_positions + size + 2) + size
        room = width * (config.n_positions + 3) + features + size
        tensors = 6

        def count(nodes: list[Any]) -> None:
            nonlocal numbers, room, tensors
            for node in nodes:
                if "repeat" in node:
                    count(node["body"])
                elif "mlp" in node:
                    numbers += (3 * width + 1) * node["mlp"] + 3 * width
                    room += 2 * node["mlp"] + 5 * width
                    tensors += 7
                elif "delta_attention" in node:
                    numbers += (4 * width + 2 * TAPS + config.d_head) * inside + (2 * width + 2) * config.n_head
                    room += (2 + 2 * TAPS) * inside + 5 * width + 2 * config.n_head
                    tensors += 10
                elif "idle" not in node:
                    numbers += 4 * width * inside + 3 * inside + width * (config.n_head + 3)
                    room += 4 * inside + 7 * width
                    tensors += 10

        count(self.body)
        return numbers * np.dtype(config.dtype).itemsize + 1024 * tensors + 2**16, 8 * room

    def fill(self, tensors: Tensors) -> Contents:
        """The weights, with every tensor of its right shape and none left over."""
        config, width = self.config, self.config.d_model
        take = Take(tensors)
        features = FeatureLayout.of(self.signature).size
        size = prod(self.output.shape)
        weights = Contents(
            config,
            self.signature,
            self.roles,
            take.matrix("embedding", features, width),
            take.vector("positions", config.n_positions, width),
            self._body(self.body, "body", take),
            take.norm("final_norm", width, self.final_norm),
            take.matrix("readout", width, size),
            take.vector("readout_bias", size),
            self.output,
            self.layout,
            self.inputs,
            self.report,
            self.domains,
            self.live,
        )
        if tensors:
            raise Damage(f"it holds a tensor that belongs nowhere, {min(tensors)}")
        return weights

    def _body(self, nodes: list[Any], prefix: str, take: Take) -> Body:
        items: list[Sublayer | Repeated] = []
        width, heads, d_head = self.config.d_model, self.config.n_head, self.config.d_head
        sizes = width, heads * d_head, (self.config.n_kv_head or heads) * d_head
        for index, node in enumerate(nodes):
            here = f"{prefix}.{index}"
            if "repeat" in node:
                inner = self._body(node["body"], f"{here}.body", take)
                items.append(Repeated(node["repeat"], inner, node["scan"], node.get("turn")))
            elif "idle" in node:
                items.append(Idle(node["idle"]))
            elif "attention" in node:
                items.append(take.attention(f"{here}.attention", *sizes, node.get("norm", True)))
            elif "linear_attention" in node:
                items.append(take.linear_attention(f"{here}.linear_attention", *sizes, heads))
            elif "delta_attention" in node:
                items.append(take.delta_attention(f"{here}.delta_attention", width, heads, d_head))
            else:
                there = node.get("norm", True), node.get("gate", False)
                items.append(take.mlp(f"{here}.mlp", width, node["mlp"], *there))
        return tuple(items)


def _written(placement: Any, index: int) -> int:
    """The rows of all that is written to a named value, which are its components."""
    low, writes = (placement.get(name) if isinstance(placement, dict) else None for name in ("low", "writes"))
    if not isinstance(low, list) or not isinstance(writes, list):
        return 0
    for number, write in enumerate(writes):
        matrix = write.get("matrix") if isinstance(write, dict) else None
        shape = matrix.get("shape") if isinstance(matrix, dict) else None
        if isinstance(shape, list) and shape[:1] != [len(low)]:
            told = f"layout[{index}].writes[{number}].matrix has shape {str(shape)[:40]}"
            raise Damage(f"{told}; layout[{index}] has {len(low)} lows")
    return len(writes) * len(low)
