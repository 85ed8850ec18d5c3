"""Saved weights: a folder that is written whole or not at all, and read whole or refused.

    config.json         architecture, tree of sublayers, layout, ranges, report; checksums of all three files
    model.safetensors   every matrix and bias by name, [in, out]: embedding, positions,
                        body.3.attention.query, body.5.body.0.mlp.up, final_norm.gain, readout, …; as it is, or,
                        where that is less, its nonzeros (compact.py); a norm or a gate that is None has none
    program.icl         the program's text

Weights are stored in their own precision, so that float32 weights come back bit for bit. Nothing but
JSON, text and numbers is read; no code is ever run. In version 1 all tensors are as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import uuid
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as save_tensors

from ..arrays import Dtype
from ..contents import Contents
from ..errors import DataError
from ..interrupts import unfinished
from ..limits import LARGEST_CONFIG, LARGEST_TEXT
from ..memory import gigabytes, spend
from ..parts import Attention, Body, DeltaAttention, Idle, LinearAttention, Mlp, Repeated, Sublayer
from ..sparse import Matrix
from .compact import Tensors, dense, most, stored, verify_kind
from .manifest import Outline
from .serialize import Damage, encode, keyed

FORMAT, VERSION, READ = "innerloop", 2, (1, 2)
CONFIG, TENSORS, PROGRAM = "config.json", "model.safetensors", "program.icl"
SAMPLE = "tasks.safetensors"  # of an export, and of no folder of weights

_ENTRIES = (
    "format", "version", "config", "signature", "parameters", "roles", "output", "inputs", "layout", "report", "body",
    "checksums",
)  # fmt: skip
_KINDS = {
    code: np.dtype(name)
    for code, name in {
        "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
        "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
    }.items()
}  # fmt: skip
"""What the file calls a dtype; safetensors.numpy writes BF16, and does not read it."""
_OPTIONAL = ("final_norm", "domains", "live")  # entries that a folder of before may lack


# Writing -----------------------------------------------------------------------------------------


def save(weights: Contents, folder: str | os.PathLike[str]) -> None:
    """Writes a new folder, its parents included. Raises DataError if it exists or cannot be written."""
    target = Path(folder)
    if os.path.lexists(target):
        raise DataError(f"{target} exists already: give a new folder, or remove it first")
    program = weights.signature.text.encode()
    named = _stored(weights, target)
    if bad := [name for name, tensor in named.items() if not np.isfinite(tensor).all()]:
        raise DataError(
            f"cannot write {target}: the weights hold NaN or infinity ({bad[0]}); "
            f"the program's values are not finite with these parameters and this data"
        )
    tensors = save_tensors(named)
    entries = entries_of(weights)
    entries["checksums"] = {TENSORS: _digest(tensors), PROGRAM: _digest(program)}
    entries["checksums"][CONFIG] = _digest(entries)
    files = {CONFIG: json.dumps(entries, indent=1).encode(), TENSORS: tensors, PROGRAM: program}
    try:
        with unfinished(target.parent / f".innerloop-{uuid.uuid4().hex}") as scratch:
            scratch.mkdir(parents=True)
            for name, content in files.items():
                (scratch / name).write_bytes(content)
            os.rename(scratch, target)
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or error}") from None


def _stored(weights: Contents, target: Path) -> Tensors:
    """The tensors to write, if they fit the memory, twice over (as arrays and as a file), and the disk."""
    dtype, mend = np.dtype(weights.config.dtype), "compile for smaller sizes"
    parts = parts_of(weights)
    asked = 2 * sum(most(part, dtype) for part in parts.values())
    spend(asked, f"the weights of {weights.signature.name}, as they are written to {target},", mend)
    named: Tensors = {}
    for name, part in parts.items():
        named |= stored(name, part, dtype)
    count = sum(tensor.nbytes for tensor in named.values())
    above = next(path for path in target.absolute().parents if path.exists())
    if count > (left := shutil.disk_usage(above).free):
        sizes = f"the weights take {gigabytes(count)}, {gigabytes(left)} of disk are free"
        raise DataError(f"cannot write {target}: {sizes}: make room, write to another disk, or {mend}")
    return named


def entries_of(weights: Contents) -> dict[str, Any]:
    """config.json without its checksums: what `Outline` reads."""
    signature = encode(weights.signature)
    bound = signature.pop("parameters")
    del signature["text"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "config": encode(weights.config),
        "signature": signature,
        "parameters": bound,
        "roles": encode(weights.roles),
        "output": encode(weights.output),
        "inputs": encode(weights.inputs),
        "layout": encode(weights.layout),
        "report": encode(weights.report),
        "domains": encode(weights.domains),
        "live": encode(weights.live),
        "body": _tree(weights.body),
        "final_norm": weights.final_norm is not None,
    }


def _tree(body: Body) -> list[Any]:
    nodes: list[Any] = []
    for item in body:
        match item:
            case Repeated(count, inner, scan, turn):
                turns = {} if turn is None else {"turn": turn}
                nodes.append({"repeat": count, "scan": scan, **turns, "body": _tree(inner)})
            case Idle(kind):
                nodes.append({"idle": kind})
            case Attention():
                nodes.append({_kind(item): item.query.shape[1], "norm": item.norm is not None})
            case LinearAttention() | DeltaAttention():
                nodes.append({_kind(item): item.query.shape[1]})
            case Mlp():
                gate = {} if item.gate is None else {"gate": True}
                nodes.append({_kind(item): item.up.shape[1], "norm": item.norm is not None} | gate)
    return nodes


def _kind(item: Sublayer) -> str:
    kinds = {Attention: "attention", LinearAttention: "linear_attention", DeltaAttention: "delta_attention", Mlp: "mlp"}
    return kinds[type(item)]


def tensors_of(weights: Contents) -> Tensors:
    """Every matrix and bias by its name, dense, in the weights' own precision."""
    dtype = np.dtype(weights.config.dtype)
    return {name: dense(part, dtype) for name, part in parts_of(weights).items()}


def parts_of(weights: Contents) -> dict[str, Matrix | NDArray[np.float64]]:
    """Every matrix and bias by its name in model.safetensors."""
    found: dict[str, Matrix | NDArray[np.float64]] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, Matrix | np.ndarray):
            found[prefix] = value
        elif value is not None:
            for field in fields(value):
                add(f"{prefix}.{field.name}", getattr(value, field.name))

    def walk(prefix: str, body: Body) -> None:
        for index, item in enumerate(body):
            if isinstance(item, Repeated):
                walk(f"{prefix}.{index}.body", item.body)
            elif not isinstance(item, Idle):
                add(f"{prefix}.{index}.{_kind(item)}", item)

    for name in ("embedding", "positions", "final_norm", "readout", "readout_bias"):
        add(name, getattr(weights, name))
    walk("body", weights.body)
    return found


# Reading -----------------------------------------------------------------------------------------


def load(folder: str | os.PathLike[str]) -> Contents:
    """Reads what `save` wrote. Raises DataError naming the file and the fault if anything is not as it was written."""
    source = Path(folder)
    if not any((source / name).exists() for name in (CONFIG, TENSORS, PROGRAM)):
        state = "does not exist"
        if source.exists():
            state = "holds no weights" if source.is_dir() else "is not a folder"
        raise DataError(f"{source} {state}: give a folder that `save` or `innerloop compile -o` wrote")
    name = CONFIG
    try:
        entries = _read_config(_bytes(source / name, LARGEST_CONFIG))
        name = PROGRAM
        program = _bytes(source / name, 4 * LARGEST_TEXT)  # of UTF-8, to a character
        text = _read_program(program)
        name = CONFIG
        outline = Outline(entries, text)
        _same(entries, entries, name)
        name = PROGRAM
        _same(program, entries, name)
        name = TENSORS
        largest, room = outline.largest()
        content = _bytes(source / name, largest)
        spend(room, f"the arrays of {source / name}", "the folder asks for too much")
        weights = outline.fill(_read_tensors(content, outline.config.dtype))
        _same(content, entries, name)
    except Damage as fault:
        raise DataError(f"{source / name}: {fault}. {_mend(source)}") from None
    except RecursionError:
        raise DataError(f"{source / name}: it is nested without end. The folder is damaged: copy it again") from None
    return weights


def _mend(folder: Path) -> str:
    export = "The folder is an export: give that of the weights, which it was made from"
    return export if (folder / SAMPLE).exists() else "The folder is damaged: compile or copy it again"


def _bytes(path: Path, most: int) -> bytes:
    """The file's bytes, if they are no more than `most` and fit the memory (several times: they are read and built)."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise Damage("it is no file")
        if state.st_size > most:
            raise Damage(f"it has {state.st_size:,} bytes, and at most {most:,} are right here")
        spend(8 * state.st_size, f"the contents of {path}", "load it where there is more")
        with path.open("rb") as stream:
            return stream.read(most + 1)
    except FileNotFoundError:
        raise Damage("the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _digest(content: Any) -> str:
    """Of a file's bytes, or of the entries of config.json, however they are laid out, without their own checksum."""
    if not isinstance(content, bytes):
        others = {name: checksum for name, checksum in content["checksums"].items() if name != CONFIG}
        content = json.dumps({**content, "checksums": others}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _same(content: Any, entries: dict[str, Any], name: str) -> None:
    if entries["checksums"][name] != _digest(content):
        raise Damage("it is not what was saved (its checksum differs)")


def _read_config(content: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Damage("it is not JSON") from None
    if not isinstance(entries, dict) or entries.get("format") != FORMAT:
        raise Damage("it does not describe innerloop weights")
    if entries.get("version") not in READ:
        known = " and ".join(map(str, READ))
        raise Damage(f"it has format version {entries.get('version')!r}; this innerloop reads {known}")
    keyed(entries, "the file", _ENTRIES, _OPTIONAL)
    keyed(entries["checksums"], "checksums", (CONFIG, TENSORS, PROGRAM))
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, none of whose names stands twice: another reader might take the other one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise Damage(f"the name {max(names, key=names.count)[:40]!r} stands twice in an object")
    return found


def _no_number(word: str) -> float:
    raise Damage(f"it holds {word}, which is no JSON")


def _read_program(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Damage("it is not UTF-8 text") from None


def _read_tensors(content: bytes, dtype: Dtype) -> Tensors:
    try:
        read: Any = deserialize(content)  # type: ignore[no-untyped-call]
        tensors = {name: np.frombuffer(t["data"], _KINDS[t["dtype"]]).reshape(t["shape"]) for name, t in read}
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise Damage(f"it is not a safetensors file ({error})") from None
    for name, tensor in tensors.items():
        verify_kind(name, tensor, dtype)
    return tensors
