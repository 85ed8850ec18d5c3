"""The words of the language by what they are: for completion and highlighting.

A test holds them complete: together they are the words that grammar.lark reserves, and the built-in functions.
"""

from innerloop.compiler.syntax.builtins import FUNCTIONS, OPERATIONS, READS

DECLARATIONS = ("program", "use", "tokens", "visible", "context", "on", "def")
STATEMENTS = ("at", "repeat", "as", "scan", "backwards", "up", "to", "output")
EXPRESSIONS = ("in", "grad", "move", "from", "previous", "first", "last")
LOGIC = ("and", "or", "not")
TYPES = ("scalar", "vector", "matrix", "tensor", "onehot")
CALLED = (*OPERATIONS, *READS, *(name for name in FUNCTIONS if name not in READS))
"""Operations, reads and functions: what stands before a bracket."""

GROUPS: dict[str, tuple[str, ...]] = {
    "declarations": DECLARATIONS,
    "statements": STATEMENTS,
    "expressions": EXPRESSIONS,
    "logic": LOGIC,
    "types": TYPES,
    "called": CALLED,
}
