"""Vocabulary: what a token id stands for, where every field of a program is one-hot.

    before   a signature: `tokens (s)*`, `s : onehot[3]`
    after    ids 0 `<s>` (the rest token), 1 "0", 2 "1", 3 "2": a role and a symbol of each field that it holds

A symbol is called by its number, as data may give it; where there are several roles, behind its kind's name ("x:2"), or
its role's where a kind has several ("suffix:x:2"). The tokenizer reads such names between spaces, and puts `<s>` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.memory import spend
from innerloop.artifact.signature import FieldSpec, Signature
from innerloop.artifact.tokens import TokenData, role_kinds
from innerloop.artifact.tokens import roles as roles_of

REST = "<s>"
NUMBER = 16
"""Bytes of memory for each id and feature, as they are laid out."""


@dataclass(frozen=True)
class Vocabulary:
    """The name of every id, and its features [ids, features]."""

    names: tuple[str, ...]
    features: Floats

    @staticmethod
    def of(signature: Signature) -> Vocabulary:
        """Raises InnerloopError for a signature with fields that are not one-hot, and for more symbols than the memory
        holds."""
        numbers = [f"`{field.name}`" for field in signature.fields if not field.onehot]
        if numbers:
            raise InnerloopError(
                f"{signature.name} reads numbers ({', '.join(numbers)}), and a token id stands for a symbol: declare "
                "its fields `onehot[…]`, or export it to huggingface, whose folder makes `inputs_embeds` from arrays "
                "(fields.py)"
            )
        layout, names = FeatureLayout.of(signature), roles_of(signature.pattern)
        kinds = role_kinds(signature.pattern)
        held = {role: [f for f in signature.fields if kinds[role] in f.kinds] for role in range(1, layout.roles)}
        count = 1 + sum(prod(f.shape[0] for f in fields) for fields in held.values())
        spend(NUMBER * count * layout.size, f"{count:,} symbols", "declare smaller `onehot` fields")
        called, features = [REST], np.zeros((count, layout.size))
        features[0, 0] = 1.0
        for role, fields in held.items():
            name = str(kinds[role]) if kinds.count(kinds[role]) == 1 else names[role]
            for symbols in product(*(range(f.shape[0]) for f in fields)):
                row = features[len(called)]
                row[role] = 1.0
                for field, symbol in zip(fields, symbols, strict=True):
                    row[layout.fields[field.name].start + symbol] = 1.0
                called.append(":".join(_words(name, symbols, alone=len(held) == 1)))
        return Vocabulary(tuple(called), features)

    def ids(self, data: TokenData, signature: Signature) -> Indices:
        """The data's ids [batch, 1 + tokens], that of the rest token first."""
        given = FeatureLayout.of(signature).tokens(data, slice(None), np.float64)
        numbers = {row.tobytes(): number for number, row in enumerate(self.features)}
        return np.array([[numbers[token.tobytes()] for token in task] for task in given])

    def texts(self, data: TokenData, signature: Signature) -> list[str]:
        """The data as the tokenizer reads it, without the rest token, which it adds."""
        return [" ".join(self.names[i] for i in task[1:]) for task in self.ids(data, signature)]


def single(signature: Signature) -> FieldSpec | None:
    """The field, where a sequence is one kind of token with one field and sees what is before it: `tokens (s)*`."""
    pattern = signature.pattern
    if len(signature.fields) != 1 or pattern.prefix or pattern.suffix or pattern.visible_context:
        return None
    return signature.fields[0] if len(pattern.group) == 1 else None


def tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """tokenizer.json of Hugging Face's `tokenizers`: words between spaces, each an id, and `<s>` before them. A word
    that is no symbol is an error there, and what is decoded has a space before each, so that texts join."""
    special = {"id": 0, "content": REST, "special": True, "normalized": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    first, text = {"SpecialToken": {"id": REST, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special | flags],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {REST: {"id": REST, "ids": [0], "tokens": [REST]}},
        },
        "decoder": {"type": "Replace", "pattern": {"Regex": "^"}, "content": " "},
        "model": {
            "type": "WordLevel",
            "vocab": {name: number for number, name in enumerate(vocabulary.names)},
            "unk_token": "<unk>",
        },
    }


def _words(name: str, symbols: tuple[int, ...], alone: bool) -> Iterator[str]:
    if not alone or not symbols:
        yield name
    yield from map(str, symbols)
