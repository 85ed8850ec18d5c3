"""A circuit's edges and neurons patched again in TransformerLens, in float64, by its own hooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file


class PatchedLens:
    """`folder`: of `--to transformerlens`; `prompts`: what prompts.safetensors of `--to circuit` holds."""

    def __init__(self, folder: Path, prompts: Mapping[str, torch.Tensor]) -> None:
        from transformer_lens import HookedTransformer, HookedTransformerConfig

        settings = json.loads((folder / "config.json").read_text()) | {"dtype": torch.float64}
        settings |= {"use_attn_result": True, "use_split_qkv_input": True, "use_hook_mlp_in": True}
        self.model = HookedTransformer(HookedTransformerConfig.from_dict(settings))
        self.model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        self.embedding = load_file(folder / "interface.safetensors")["embedding"].double()
        self.prompts = {side: prompts[side].double() for side in ("clean", "corrupted")}
        self.rows = prompts["rows"].long()
        self.output, self.clean = self._run("clean", [])
        self.goal, self.corrupted = self._run("corrupted", [])

    def edges(self, names: Iterable[str]) -> dict[str, float]:
        """By edge, the largest change of an output over their root mean square."""
        found = {}
        for name in names:
            parent, child = name.split("->")
            hook, head = self.reads(child, self.model.cfg.n_layers)
            found[name] = self._moved(hook, self.apart(parent), head)
        return found

    @staticmethod
    def reads(child: str, layers: int) -> tuple[str, int | None]:
        """The hook of what a child reads, and of a head's, which."""
        places = [int(n) for n in re.findall(r"\d+", child)]
        if child == "logits":
            return f"blocks.{layers - 1}.hook_resid_post", None
        if child.startswith("m"):
            return f"blocks.{places[0]}.hook_mlp_in", None
        return f"blocks.{places[0]}.hook_{child[-2]}_input", places[1]

    def neuron(self, mlp: str, number: int) -> float:
        """The same of one neuron that is as active as on the corrupted prompt."""
        hook = f"blocks.{mlp[1:]}.mlp.hook_post"
        return self._moved(hook, (self.corrupted[hook] - self.clean[hook])[..., number], number)

    def _moved(self, hook: str, change: torch.Tensor, at: int | None) -> float:
        def add(value: torch.Tensor, hook: Any) -> torch.Tensor:
            value = value.clone()
            if at is None:
                return value + change
            if "mlp" in hook.name:
                value[..., at] += change
            else:
                value[:, :, at] += change
            return value

        output, _ = self._run("clean", [(hook, add)])
        return float((output - self.output).abs().max() / self.output.square().mean().sqrt())

    def apart(self, parent: str) -> torch.Tensor:
        """How much more a node writes on the corrupted prompt."""
        if parent == "input":
            return (self.prompts["corrupted"] - self.prompts["clean"]) @ self.embedding
        layer = re.findall(r"\d+", parent)
        if parent.startswith("m"):
            hook = f"blocks.{layer[0]}.hook_mlp_out"
            return torch.as_tensor(self.corrupted[hook] - self.clean[hook])
        hook = f"blocks.{layer[0]}.attn.hook_result"
        return torch.as_tensor((self.corrupted[hook] - self.clean[hook])[:, :, int(layer[1])])

    def _run(self, side: str, hooks: list[Any]) -> tuple[torch.Tensor, Any]:
        with torch.no_grad(), self.model.hooks(hooks):
            output, cache = self.model.run_with_cache(self.stream(side), start_at_layer=0)
        return output[:, self.rows], cache

    def stream(self, side: str) -> torch.Tensor:
        """What the first block is given."""
        return (self.prompts[side] @ self.embedding + self.model.W_pos[: self.prompts[side].shape[1]]).detach()
