"""TransformerLens 4, nnsight and circuitsvis, by the lines of docs/exports.md, in the environment of `make lenses`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from innerloop.artifact.words import TargetName
from innerloop.programs import load
from innerloop.runtime.exports.export import export

from tests.support.shared import compiled_once

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-lens/bin/python"
SAID = """
import json
import importlib.metadata

print("SAID", json.dumps({{
    "version": importlib.metadata.version("transformer-lens"),
    "moved": (other - plain).abs().max().item(),
    "bridge": (patched({arguments}) - other).abs().max().item(),
    "nnsight": (changed - other).abs().max().item(),
    "maps": list(maps[0][0].shape),
    "page": tokens[-1] in page and len(page) > 1000,
}}))
"""


def blocks(text: str) -> list[str]:
    return re.findall("```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="needs `make lenses`")
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_the_lines_of_the_docs_change_what_the_readmes_do(target: TargetName, tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), target=target, d=2, steps=3)
    export(weights, tmp_path / "out")
    readme = (tmp_path / "out/README.md").read_text()
    found = re.search(r"other = patched\((\"(\w+)\", .*, \"(mlp\.\d+)\", (\d+))\)", readme)
    assert found
    docs = blocks((ROOT / "docs/exports.md").read_text(encoding="utf-8"))
    bridge, nnsight, circuitsvis = (
        next(code for code in docs if f"from {package}" in code) for package in ("tokenizers", "nnsight", "circuitsvis")
    )
    there = f'name, point, token = "{found[2]}", "{found[3]}", {found[4]}'
    nnsight = re.sub(r"name, point, token = .*", there, nnsight)
    lines = "\n".join([*blocks(readme), nnsight, circuitsvis, bridge, SAID.format(arguments=found[1])])
    (tmp_path / "out/lines.py").write_text(lines, encoding="utf-8")
    done = subprocess.run(
        [PYTHON, "lines.py"], cwd=tmp_path / "out", capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("SAID"))[5:])
    assert said["version"].startswith("4.")
    assert said["moved"] > 0.01
    assert said["bridge"] <= 1e-5
    assert said["nnsight"] <= 1e-6
    tokens = 1 + 2 * 40 + 1
    assert said["maps"] == [weights.config.n_head, tokens, tokens]
    assert said["page"]
