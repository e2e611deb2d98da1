"""VRML text → a tree of nodes, for both versions of the language.

VRML 2.0 (ISO/IEC 14772) writes ``field Node { … }``, VRML 1.0 writes ``Node { … }`` one after another; both are read
as the same tree: a node has words (its plain fields), arrays (the text between ``[`` and ``]``, not yet parsed) and
children. Nothing here is recursive and every limit is checked, so that no bytes can make it hang or run out of stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from fer_prep.errors import FormatError

MAX_BYTES: Final = 32 << 20
"""A face scan has a few megabytes; a larger file is something else."""
_MAX_BRACKETS: Final = 100_000
_MAX_PIECES: Final = 200_000
_MAX_WORD_BYTES: Final = 2 << 20

_PROTOTYPES: Final = {b"PROTO", b"EXTERNPROTO"}
"""Definitions of node types: no scanner writes them, and what they make is not read."""

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_IS_BRACKET: Final = np.isin(np.arange(256), list(b"[]{}")).tobytes()
_STRING_MARK: Final = b"\x01"
"""Takes the place of a quoted string in the text, followed by its number: legal in no VRML word."""


@dataclass(eq=False)
class Node:
    """One VRML node."""

    kind: bytes
    """Its type: ``Shape``, ``Coordinate`` …"""
    words: list[bytes] = field(default_factory=list[bytes])
    """Everything between its braces that is neither an array nor a child, in order."""
    arrays: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    """Field name → text between the brackets."""
    children: list[Node] = field(default_factory=lambda: [])
    """Nodes inside it, in order; ``USE`` puts the same node in several places."""

    def child(self, *kinds: bytes) -> Node | None:
        """The first child of one of these types."""
        return next((node for node in self.children if node.kind in kinds), None)


@dataclass(frozen=True)
class Document:
    """A parsed file."""

    root: Node
    strings: tuple[bytes, ...]
    """The quoted strings that marks in the text stand for."""

    def text_field(self, node: Node, name: bytes) -> str | None:
        """The (first) string of a field such as ``url "a.bmp"`` or ``url [ "a.bmp" ]``; unquoted words count too."""
        if name in node.arrays:
            words = node.arrays[name].replace(b",", b" ").split()
        elif name in node.words:
            words = node.words[node.words.index(name) + 1 :]
        else:
            return None
        if not words:
            return None
        mark = words[0]
        text = self.strings[int(mark[1:])] if mark.startswith(_STRING_MARK) else mark
        return text.decode("utf-8", errors="replace")


def parse_document(data: bytes) -> Document:
    """Parse VRML 1.0 or 2.0 text with any line ends, byte-order mark or none, comments anywhere."""
    if len(data) > MAX_BYTES:
        raise FormatError(expected=f"a VRML file of at most {MAX_BYTES >> 20} MiB", found=f"{len(data)} bytes")
    if not data.strip():
        raise FormatError(expected="VRML text", found="an empty file")
    if data.startswith(b"\x1f\x8b"):
        raise FormatError(expected="VRML text", found="gzip-compressed bytes", hint="unpack it with gunzip")
    text, strings = _without_strings_and_comments(data.removeprefix(b"\xef\xbb\xbf"))
    return Document(_Parser(text).parse(), strings)


def _without_strings_and_comments(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Replace comments by a blank and strings by marks, so that brackets left in the text are brackets."""
    text = data.replace(b"\r", b"\n") if b"\r" in data else data
    if _STRING_MARK in text or b"\0" in text:
        raise FormatError(expected="VRML text", found="control characters")
    pieces: list[bytes] = []
    strings: list[bytes] = []
    position = 0
    quote, comment = text.find(b'"'), text.find(b"#")
    while quote >= 0 or comment >= 0:
        if quote < 0 or 0 <= comment < quote:
            pieces += (text[position:comment], b" ")
            position = text.find(b"\n", comment)
            position = len(text) if position < 0 else position
        else:
            match = _STRING.match(text, quote)
            if match is None:
                raise FormatError(expected="a closing quotation mark", found=f"a string without one at byte {quote}")
            pieces += (text[position:quote], b" %b%d " % (_STRING_MARK, len(strings)))
            strings.append(match[0][1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\"))
            position = match.end()
        # only the one that was passed is looked for again: a search to the end of the file for each is quadratic
        quote = text.find(b'"', position) if 0 <= quote < position else quote
        comment = text.find(b"#", position) if 0 <= comment < position else comment
        if len(pieces) > _MAX_PIECES:
            raise FormatError(expected=f"at most {_MAX_PIECES} strings and comments", found="more of them")
    pieces.append(text[position:])
    return b"".join(pieces), tuple(strings)


class _Parser:
    """Walks the brackets of a text; the words between them belong to the node that is open.

    Every step takes the same time however many nodes are open or words were met before.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.root = Node(b"")
        self.open: list[tuple[Node, bool]] = [(self.root, False)]
        """The nodes around, and whether the innermost bracket of each level is that of a list of nodes in it."""
        self.named: dict[bytes, Node] = {}
        self.word_bytes_left = _MAX_WORD_BYTES

    def parse(self) -> Node:
        position = 0
        array_from = -1
        brackets = np.flatnonzero(np.frombuffer(self.text.translate(_IS_BRACKET), np.bool_))
        if len(brackets) > _MAX_BRACKETS:
            raise FormatError(expected=f"at most {_MAX_BRACKETS} brackets", found=f"{len(brackets)}")
        for start in brackets.tolist():
            bracket = self.text[start : start + 1]
            if array_from >= 0 and bracket == b"]":
                self._close_array(self.text[array_from:start])
                array_from = -1
            else:
                if array_from >= 0:
                    # not an array of values but a list of nodes: `children [ Shape {`
                    self.open.append((self._current(), True))
                    array_from = -1
                self._take_words(self.text[position:start])
                if bracket == b"[":
                    array_from = start + 1
                elif bracket == b"{":
                    self._open_node(start)
                else:
                    self._close(bracket, start)
            position = start + 1
        if array_from >= 0 or len(self.open) > 1:
            raise FormatError(expected="every bracket closed", found=f"the end of the file inside {self._innermost()}")
        return self.root

    def _current(self) -> Node:
        return self.open[-1][0]

    def _innermost(self) -> str:
        kind = self._current().kind.decode("latin-1")[:40]
        return f"a {kind!r} node" if kind else "a list"

    def _take_words(self, text: bytes) -> None:
        self.word_bytes_left -= len(text)
        if self.word_bytes_left < 0:
            raise FormatError(
                expected="values inside brackets", found=f"more than {_MAX_WORD_BYTES >> 20} MiB of text outside them"
            )
        words = text.replace(b",", b" ").split()
        node = self._current()
        node.words.extend(words)
        if found := _PROTOTYPES.intersection(words):
            raise FormatError(expected="nodes that this program reads", found=f"a node {min(found).decode()}")
        self._take_used(node, words)

    def _take_used(self, node: Node, words: list[bytes]) -> None:
        """The named nodes that these words ``USE`` become children."""
        for keyword, name in pairwise(words):
            if keyword == b"USE" and name in self.named:
                node.children.append(self.named[name])

    def _open_node(self, start: int) -> None:
        parent = self._current()
        if not parent.words:
            raise FormatError(expected="a node type before '{'", found=f"none at byte {start}")
        node = Node(parent.words.pop())
        if len(parent.words) >= 2 and parent.words[-2] == b"DEF":
            self.named[parent.words[-1]] = node
            del parent.words[-2:]
        parent.children.append(node)
        self.open.append((node, False))

    def _close(self, bracket: bytes, start: int) -> None:
        _, is_list = self.open[-1]
        if len(self.open) == 1 or is_list != (bracket == b"]"):
            raise FormatError(
                expected="brackets that match", found=f"{bracket.decode()!r} at byte {start} inside {self._innermost()}"
            )
        self.open.pop()

    def _close_array(self, text: bytes) -> None:
        node = self._current()
        if node.words:
            # a field given twice: the last one counts, as in a dictionary
            node.arrays[node.words.pop()] = text
        if b"USE" in text:  # `children [ USE Face ]`
            self._take_used(node, text.replace(b",", b" ").split())
