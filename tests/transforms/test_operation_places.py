"""In how many product files an operation stands, and that what passes ask of it is its class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from innerloop.compiler.ir.graph import Op
from innerloop.compiler.ir.operation_classes import Local, Reads, Source, Structural

ROOT = Path(__file__).parents[2]
CLASSES = (Source, Local, Reads, Structural)
OPERATIONS = {op.__name__: op for op in get_args(Op)}
MODULES = ("graph", "positional")
MOST, LISTED = 6, 5


@cache
def _trees() -> dict[str, ast.Module]:
    """Of the product files that could know an operation."""
    files = [path for room in ("compiler", "runtime") for path in sorted((ROOT / room).rglob("*.py"))]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    brought = tuple(f"{module} import" for module in MODULES)
    known = {path for path, text in texts.items() if "/ir/" in path or any(word in text for word in brought)}
    return {path: ast.parse(texts[path]) for path in sorted(known)}


def _where(name: str) -> list[str]:
    """The product files that define an operation or bring it in."""

    def says(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom):
            from_ir = (node.module or "").endswith(MODULES)
            return from_ir and name in [alias.name for alias in node.names]
        return isinstance(node, ast.ClassDef) and node.name == name

    return [path for path, tree in _trees().items() if any(map(says, ast.walk(tree)))]


def _listed() -> Iterator[tuple[str, int, list[str]]]:
    """The operations that one `case` of a match puts side by side."""
    for path, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.MatchOr):
                alike = [ast.unparse(each.cls) for each in node.patterns if isinstance(each, ast.MatchClass)]
                yield path, node.lineno, [name for name in alike if name in OPERATIONS]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_of_one_class(name: str) -> None:
    assert sum(issubclass(OPERATIONS[name], each) for each in CLASSES) == 1


def test_a_function_of_the_position_is_at_home_in_few_files() -> None:
    found = _where("Angles")
    assert "compiler/ir/positional.py" in found
    assert "compiler/interpreter/computing.py" in found
    assert len(found) <= MOST, found


def test_matches_name_classes_where_they_treat_operations_alike() -> None:
    cases = list(_listed())
    assert any(len(names) > 1 for _, _, names in cases)  # so it does see them
    assert [case for case in cases if len(case[2]) > LISTED] == []


def _about_operations(match: ast.Match, known: set[str]) -> bool:
    """Whether a case names an operation, or a class of them."""
    patterns = (part for case in match.cases for part in ast.walk(case.pattern))
    return any(isinstance(part, ast.MatchClass) and ast.unparse(part.cls) in known for part in patterns)


def test_every_match_over_operations_is_complete() -> None:
    """Its last case is one that cannot be, so that mypy names it when an operation comes that it does not treat."""
    complete, open_ = 0, []
    for path, tree in _trees().items():
        brought = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith((*MODULES, "operation_classes"))
            for alias in node.names
        }
        known = brought & {*OPERATIONS, *(each.__name__ for each in CLASSES)}
        for match in (
            node for node in ast.walk(tree) if isinstance(node, ast.Match) and _about_operations(node, known)
        ):
            if "assert_never" in ast.unparse(match.cases[-1]):
                complete += 1
            else:
                open_.append(f"{path}:{match.lineno}")
    assert open_ == []
    assert complete > 20
