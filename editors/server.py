"""The language server: a text in an editor → its faults, and answers about places in it (LSP 3.17, by pygls).

    innerloop language-server      on stdin and stdout, as editors start it

Each change is analysed whole, which takes some milliseconds; nothing is written and no program is run.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from innerloop.artifact.errors import CompileError, Diagnostic, InnerloopError
from innerloop.compiler.frontend.library import FOLDER
from innerloop.compiler.syntax.format import formatted
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from .analysis import Analysis, analyse
from .colours import COLOURS, coloured
from .completion import Sort, suggestions
from .hover import hover, library_text
from .occurrences import Occurrence
from .places import Places
from .renaming import can_be_renamed, renamed

_SORTS: dict[Sort, types.CompletionItemKind] = {
    "keyword": types.CompletionItemKind.Keyword,
    "type": types.CompletionItemKind.TypeParameter,
    "kind": types.CompletionItemKind.EnumMember,
    "value": types.CompletionItemKind.Variable,
    "function": types.CompletionItemKind.Function,
    "library": types.CompletionItemKind.Module,
}


class ProgramServer(LanguageServer):
    """Keeps what is known of each open text."""

    def __init__(self) -> None:
        # Full texts: pygls counts lines as Python does, which ends them at more characters than the protocol does.
        super().__init__("innerloop", version("innerloop"), types.TextDocumentSyncKind.Full)
        self._known: dict[str, Analysis] = {}

    def read(self, uri: str) -> None:
        """Analyses a text that is new or has changed, and tells its faults."""
        text = self.workspace.get_text_document(uri).source
        name = PurePosixPath(unquote(urlsplit(uri).path)).name or "program"
        self._known[uri] = analysis = analyse(text, name, self._known.get(uri))
        places = self.places(text)
        found = [_diagnostic(diagnostic, places) for diagnostic in analysis.diagnostics]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found))

    def forget(self, uri: str) -> None:
        self._known.pop(uri, None)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def analysis(self, uri: str) -> Analysis:
        if uri not in self._known:
            self.read(uri)
        return self._known[uri]

    def places(self, text: str) -> Places:
        return Places(text, types.PositionEncodingKind(self.workspace.position_encoding))

    def name_at(self, uri: str, position: types.Position) -> tuple[Analysis, Places, Occurrence | None]:
        analysis = self.analysis(uri)
        places = self.places(analysis.text)
        return analysis, places, analysis.at(places.offset(position))


def _diagnostic(diagnostic: Diagnostic, places: Places) -> types.Diagnostic:
    span = diagnostic.span
    hint = "" if diagnostic.hint is None else f"\nhint: {diagnostic.hint}"
    return types.Diagnostic(
        range=places.range(0, 0) if span is None else places.range(span.start, span.end),
        message=f"{diagnostic.message}{hint}",
        severity=types.DiagnosticSeverity.Error,
        source="innerloop",
    )


def server() -> ProgramServer:
    """With its answers, not yet started."""
    made = ProgramServer()
    # A name that is refused is the user's to mend, and no exception to be logged.
    logging.getLogger("pygls.protocol.json_rpc").addFilter(
        lambda record: not (record.exc_info and record.exc_info[0] is JsonRpcInvalidParams)
    )

    @made.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: ProgramServer, params: types.DidOpenTextDocumentParams) -> None:
        ls.read(params.text_document.uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: ProgramServer, params: types.DidChangeTextDocumentParams) -> None:
        ls.read(params.text_document.uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: ProgramServer, params: types.DidCloseTextDocumentParams) -> None:
        ls.forget(params.text_document.uri)

    @made.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(ls: ProgramServer, params: types.HoverParams) -> types.Hover | None:
        analysis, places, name = ls.name_at(params.text_document.uri, params.position)
        said = None if name is None else hover(analysis, name)
        if name is None or said is None:
            return None
        content = types.MarkupContent(types.MarkupKind.Markdown, said)
        return types.Hover(content, places.range(name.start, name.end))

    @made.feature(types.TEXT_DOCUMENT_COMPLETION)
    def completed(ls: ProgramServer, params: types.CompletionParams) -> list[types.CompletionItem]:
        analysis = ls.analysis(params.text_document.uri)
        offset = ls.places(analysis.text).offset(params.position)
        return [
            types.CompletionItem(s.text, kind=_SORTS[s.sort], detail=s.detail or None, sort_text=f"{k:04d}")
            for k, s in enumerate(suggestions(analysis, offset))
        ]

    @made.feature(types.TEXT_DOCUMENT_DEFINITION)
    def defined(ls: ProgramServer, params: types.DefinitionParams) -> types.Location | None:
        uri = params.text_document.uri
        analysis, places, name = ls.name_at(uri, params.position)
        if name is None:
            return None
        origin = analysis.origin(name)
        if origin is not None:
            return types.Location(uri, places.range(origin.start, origin.end))
        shipped = analysis.shipped(name.name) if name.sort == "function" else None
        if shipped is None:
            return None
        library, definition = shipped
        start = definition.span.start
        where = ls.places(library_text(library)).range(start, start + len(definition.name))
        return types.Location((FOLDER / f"{library}.icl").as_uri(), where)

    @made.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepared(ls: ProgramServer, params: types.PrepareRenameParams) -> types.Range | None:
        analysis, places, name = ls.name_at(params.text_document.uri, params.position)
        if name is None or not can_be_renamed(analysis, name):
            return None
        return places.range(name.start, name.end)

    @made.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def named(ls: ProgramServer, params: types.RenameParams) -> types.WorkspaceEdit | None:
        uri = params.text_document.uri
        analysis, places, name = ls.name_at(uri, params.position)
        if name is None:
            return None
        try:
            edits = renamed(analysis, name, params.new_name)
        except InnerloopError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        return types.WorkspaceEdit({uri: [types.TextEdit(places.range(a, b), text) for a, b, text in edits]})

    @made.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, types.SemanticTokensLegend(COLOURS, []))
    def painted(ls: ProgramServer, params: types.SemanticTokensParams) -> types.SemanticTokens:
        analysis = ls.analysis(params.text_document.uri)
        places = ls.places(analysis.text)
        data: list[int] = []
        line = character = 0
        for word in coloured(analysis):
            where = places.range(word.start, word.end)
            begin = where.start.character - (character if where.start.line == line else 0)
            length = where.end.character - where.start.character
            data += [where.start.line - line, begin, length, COLOURS.index(word.colour), 0]
            line, character = where.start.line, where.start.character
        return types.SemanticTokens(data)

    @made.feature(types.TEXT_DOCUMENT_FORMATTING)
    def spelt(ls: ProgramServer, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        text = ls.analysis(params.text_document.uri).text
        try:
            result = formatted(text)
        except CompileError:
            return None
        return [] if result == text else [types.TextEdit(ls.places(text).whole, result)]

    return made
