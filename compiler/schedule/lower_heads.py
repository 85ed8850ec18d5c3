"""Heads that score tokens, and heads of the delta rule: their instructions.

before   a graph's value, its operands as forms
after    the form of what the head makes
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from innerloop.artifact.limits import MOST_TOKENS
from innerloop.artifact.signature import Kinds

from ..ir.graph import Delta, Value
from .instructions import Atom, AttendHead, DeltaHead, Instruction, InstructionLoop, LinearForm
from .lower_forms import FormBuilder


@dataclass
class HeadBuilder(FormBuilder):
    """`log_counts`: as in `Instructions`."""

    log_counts: dict[str, Atom] = field(default_factory=dict)

    def _attend(
        self,
        value: Value,
        op: AttendHead,
        reads: tuple[LinearForm, LinearForm, LinearForm],
        kinds: Kinds,
        instructions: list[Instruction | InstructionLoop],
    ) -> LinearForm:
        """The head's instruction. Query, key and value are 0 at tokens that must not read, be read or give."""
        node, over = self.graph[value], frozenset({op.over})
        query = self._restrict(reads[0], kinds)[0]
        key, theirs = (self._restrict(form, over)[0] for form in reads[1:])
        low, high = self.ranges[value]
        if not self.target.linear:
            key, theirs = self._rested(key, instructions), self._rested(theirs, instructions)
            if op.how == "softmax":
                op = replace(op, reach=float(self._most(query) @ self._most(key)))
            if op.how == "mean" and op.over not in self.log_counts:
                most = np.full(1, np.log(MOST_TOKENS + 1))
                everyone = frozenset(self.pattern.kinds)
                self.log_counts[op.over] = self._atom(f"log count {op.over}", 1, everyone, np.zeros(1), most, True)
        else:
            if self.pattern.visible_context and op.over in self.pattern.suffix:
                hint = "give the tokens after the context a kind of their own, which none reads"
                raise self._refuse(node, f"hides no `{op.over}` token from those before the context's end", hint)
            if not (self._only(key, over) or self._only(theirs, over)):
                hint = f"give what is read at `{op.over}` a name that lives there alone"
                raise self._refuse(node, f"reads `{op.over}` tokens, and what it reads lives at others too", hint)
            kinds = kinds.union(*(self.atoms[a].kinds for a in query.atoms))
        counted = (self._own(self.log_counts[op.over]),) if op.over in self.log_counts and op.how == "mean" else ()
        atom = self._atom(self.labels[value], node.size, kinds, low, high)
        instructions.append(Instruction(op, (query, key, theirs, *counted), atom, kinds, node.span, value))
        return self._own(atom)

    def _delta(
        self,
        value: Value,
        op: Delta,
        reads: list[LinearForm],
        kinds: Kinds,
        instructions: list[Instruction | InstructionLoop],
    ) -> LinearForm:
        """The head's instruction. The query is 0 at tokens that must not read; rate and what is forgotten are 0 at
        tokens that must not write, or else the key is."""
        node = self.graph[value]
        query = self._restrict(reads[0], kinds)[0]
        (key, silent), (rate, gated), (forgotten, closed) = (self._restrict(reads[k], op.over) for k in (1, 3, 4))
        if not ((gated or (silent and not op.back[0])) and closed):
            hint = f"give the rate of writing a name that lives at {', '.join(sorted(op.over))} alone"
            raise self._refuse(node, "writes at some tokens, and what it writes with lives at others too", hint)
        key = key if silent and not op.back[0] else reads[1]
        kinds = kinds.union(*(self.atoms[a].kinds for a in query.atoms))
        atom = self._atom(self.labels[value], node.size, kinds, *self.ranges[value])
        head = DeltaHead(op.over, op.start, op.divisor, op.back)
        reading = (query, key, reads[2], rate, forgotten)
        instructions.append(Instruction(head, reading, atom, kinds, node.span, value))
        return self._own(atom)
