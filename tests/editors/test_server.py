"""The language server as an editor speaks to it: a client over stdin and stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_lsp
from innerloop.compiler.frontend.check import check
from innerloop.compiler.syntax.format import formatted
from innerloop.compiler.syntax.parse import parse
from innerloop.editors.colours import COLOURS
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

URI = "file:///lesson%202.icl"
COMMAND = [sys.executable, "-m", "innerloop.commands", "language-server", "--stdio"]
SOUND = """\
program lesson(d)

use statistics

tokens (x y)* x
    x : vector[d]
    y : scalar
at y
    u=move x from previous  # 𝛼
w : vector[d] = norm(mean[j in y](y[j] * u[j]))
at x
    output dot(w, x)
"""
FAULTY = """\
program lesson(d)

tokens (x y)* x
    x : vector[d]  # 𝛼𝛽
    y : scalar

w = dot(x,  # \u2028 \u0085 𝛼
        y) + 𝛾
output relu(w,
            w)
"""


@pytest_lsp.fixture(config=ClientServerConfig(server_command=COMMAND))  # type: ignore[untyped-decorator]
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    await lsp_client.initialize_session(types.InitializeParams(client_capabilities("visual-studio-code")))
    yield
    await lsp_client.shutdown_session()


@pytest.mark.asyncio
async def test_a_session(client: LanguageClient) -> None:
    document = types.TextDocumentIdentifier(URI)
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "innerloop", 1, FAULTY)))
    assert await told(client) == [
        ("unexpected character `𝛾`\nhint: names are made of the letters a–z, digits and _; comments after # may hold "
         "anything", ((7, 13), (7, 15)))
    ]  # fmt: skip
    mended = FAULTY.replace(" + 𝛾", "")
    await change(client, mended, 2)
    expected = check(parse(mended, "lesson 2.icl"))
    found = await told(client)
    assert [said for said, _ in found] == [f"{d.message}\nhint: {d.hint}" if d.hint else d.message for d in expected]
    assert {"`dot` of vector[d] and scalar": ((6, 4), (7, 10))}.items() <= {
        said.split("\n")[0]: where for said, where in found
    }.items()
    assert ((8, 7), (9, 14)) in [where for _, where in found]

    await change(client, SOUND, 3)
    assert await told(client) == []
    there = types.Position(9, 42)  # u[j]
    hovered = await client.text_document_hover_async(types.HoverParams(document, there))
    assert hovered is not None
    assert isinstance(hovered.contents, types.MarkupContent)
    assert "u : vector[d]" in hovered.contents.value
    assert "Theirs: that of the `y` token `j`." in hovered.contents.value
    assert hovered.range == types.Range(types.Position(9, 41), types.Position(9, 42))

    defined = await client.text_document_definition_async(types.DefinitionParams(document, there))
    assert defined == types.Location(URI, types.Range(types.Position(8, 4), types.Position(8, 5)))
    shipped = await client.text_document_definition_async(types.DefinitionParams(document, types.Position(9, 17)))
    assert isinstance(shipped, types.Location)
    assert shipped.uri.endswith("/compiler/definitions/statistics.icl")

    completed = await client.text_document_completion_async(types.CompletionParams(document, types.Position(7, 3)))
    assert isinstance(completed, list)
    assert [item.label for item in completed] == ["x", "y"]

    renaming = types.RenameParams(document, there, "input")
    renamed = await client.text_document_rename_async(renaming)
    assert renamed is not None
    assert renamed.changes is not None
    assert [edit.range.start for edit in renamed.changes[URI]] == [types.Position(8, 4), types.Position(9, 41)]
    with pytest.raises(Exception, match="`w` has a meaning already"):
        await client.text_document_rename_async(types.RenameParams(document, there, "w"))

    painted = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(document))
    assert painted is not None
    assert colours(SOUND, painted.data, COLOURS) == {
        "comment": ["# 𝛼"],
        "keyword": ["program", "use", "tokens", "at", "move", "from", "previous", "in", "output"],
        "class": ["lesson"],
        "namespace": ["statistics"],
        "type": ["vector", "scalar"],
        "parameter": ["d"],
        "enumMember": ["x", "y"],
        "property": ["x", "y"],
        "function": ["norm", "mean", "dot"],
        "variable": ["u", "w", "j"],
        "number": [],
    }

    options = types.FormattingOptions(tab_size=4, insert_spaces=True)
    (edit,) = await client.text_document_formatting_async(types.DocumentFormattingParams(document, options)) or []
    assert isinstance(edit, types.TextEdit)
    assert edit.new_text == formatted(SOUND)
    assert edit.range == types.Range(types.Position(0, 0), types.Position(12, 0))


def colours(text: str, data: Sequence[int], names: Sequence[str]) -> dict[str, list[str]]:
    """The words of each colour, once each."""
    found: dict[str, list[str]] = {name: [] for name in names}
    lines = text.split("\n")
    line = character = 0
    for down, right, length, colour, _ in zip(*[iter(data)] * 5, strict=True):
        line, character = line + down, right if down else character + right
        units = lines[line].encode("utf-16-le")[2 * character : 2 * (character + length)]
        found[names[colour]].append(units.decode("utf-16-le"))
    return {name: list(dict.fromkeys(words)) for name, words in found.items()}


async def change(client: LanguageClient, text: str, version: int) -> None:
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(version, URI), [types.TextDocumentContentChangeWholeDocument(text)]
        )
    )


Place = tuple[tuple[int, int], tuple[int, int]]


async def told(client: LanguageClient) -> list[tuple[str, Place]]:
    """The faults that the server tells next."""
    await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    found = client.diagnostics[URI]
    return [
        (d.message, ((d.range.start.line, d.range.start.character), (d.range.end.line, d.range.end.character)))
        for d in found
    ]


def test_it_loads_neither_jax_nor_numpy() -> None:
    """From the first message to the last; and it ends when it is told to, with status 0."""
    opened = {"uri": URI, "languageId": "innerloop", "version": 1, "text": SOUND}
    hovered = {"textDocument": {"uri": URI}, "position": {"line": 9, "character": 42}}
    messages: list[dict[str, object]] = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None, "rootUri": None}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": opened}},
        {"id": 2, "method": "textDocument/hover", "params": hovered},
        {"id": 3, "method": "shutdown"},
        {"method": "exit"},
    ]
    sent = b""
    for message in messages:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        sent += b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
    heavy = "print([m for m in ('jax', 'numpy', 'scipy', 'networkx') if m in sys.modules], file=sys.stderr)"
    program = (
        f"import atexit, sys\natexit.register(lambda: {heavy})\n"
        "from innerloop.commands.cli import main\nsys.exit(main(['language-server']))"
    )
    found = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=False, timeout=60)
    assert (found.returncode, found.stderr.decode().splitlines()[-1:]) == (0, ["[]"])
    assert b"u : vector[d]" in found.stdout
