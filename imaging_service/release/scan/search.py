"""The search of a bundle: every file, for every secret, in plain, in hex and in base64.

One hit stops a release. In texts a secret is found as a whole word from two characters on; in other
bytes, where short texts stand by chance, from eight. In hex and in base64 it is found inside longer
runs from five bytes on, at each of base64's three alignments, across line breaks, as it is written,
in small letters, in capitals and as a title, and as UTF-16; of four bytes where the run holds
nothing else. A date is found in an instant, too, and with letters at its sides.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging_service.errors import ReleaseRefused
from imaging_service.release.scan.known import Secret
from imaging_service.release.scan.unpack import Piece, array_pieces, composed, pieces

# Endings of what a bundle is made of; "" are the chunks of zarr arrays, which have no ending.
ENDINGS = frozenset(
    {".json", ".tsv", ".parquet", ".html", ".xlsx", ".md", ".txt", ".toml", ".csv", ".png", ""}
)
_LONG, _PACKED, _RUN, _EITHER_CASE = 8, 5, 4, 4
_RUN_LETTERS = 6  # of base64, without the two that fill it up
_OF_RUN = re.compile(rb"[A-Za-z0-9+/_-]")
_HOUR = r"(?=[0-2][0-9][0-5][0-9](?:[0-5][0-9])?(?![0-9]))"
_MARGIN = 8  # bytes around a place, enough for a letter of any alphabet
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, order=True)
class Hit:
    """A secret in a file: where, what kind of secret, and how it is written there."""

    file: str
    where: str
    kind: str
    text: str
    written: str

    def __str__(self) -> str:
        return f"{self.where}: holds the {self.kind} {self.text!r}, {self.written}"


class SecretSearch:
    """Looks for secrets in pieces of files.

    Examples
    --------
    >>> search = SecretSearch([Secret("operator", "mkeller")])
    >>> [hit.written for hit in search.in_piece("a.txt", Piece("a.txt", b"6d6b656c6c6572"))]
    ['in hex']
    """

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._kinds = {composed(s.text).casefold(): s for s in secrets if s.searchable}
        words = sorted((composed(s.text) for s in self._kinds.values()), key=lambda t: (-len(t), t))
        dates = {s.text for s in self._kinds.values() if s.kind == "date"}
        self._words = _words(words, dates)
        self._any_word = _literals([w.encode() for w in words], encoding="UTF8")
        self._longest = max((len(w.encode()) for w in words), default=0)
        self._long = _literals([w.encode() for w in words if len(w.encode()) >= _LONG])
        # Encoded letters ► the secret.
        self._hex = {form: word for word in words for form in _hex_forms(word)}
        self._base64 = {form: word for word in words for form in _base64_forms(word)}
        self._in_hex, self._in_base64 = _literals(self._hex), _literals(self._base64, case=True)
        self._runs = {
            run: word
            for word in words
            if len(word.encode()) == _RUN
            for run in (
                word.encode().hex().encode(),
                base64.b64encode(word.encode())[:_RUN_LETTERS],
            )
        }
        self._any_run = _literals(self._runs)

    def in_piece(self, file: str, piece: Piece) -> Iterator[Hit]:
        """Hits in one piece, each secret and way of writing once."""
        for word, written in dict.fromkeys(self._matches(piece)):
            secret = self._kinds.get(word.casefold(), Secret("text", word))
            yield Hit(file, piece.where, secret.kind, secret.text, written)

    def _matches(self, piece: Piece) -> Iterator[tuple[str, str]]:
        text, content = piece.text, piece.content
        if text is not None:
            yield from ((word, "in plain") for word in self._whole_words(content))
            content = content.replace(b"\n", b"").replace(b"\r", b"")
        else:
            yield from ((w.casefold(), "in plain") for w in _search(self._long, content))
            # Every second byte of UTF-16 is the letter, whichever of the two comes first.
            for half in (content[::2], content[1::2]):
                yield from ((w.casefold(), "in UTF-16") for w in _search(self._long, half))
        # Without line breaks two numbers may join: the lines are looked at one by one as well.
        for part in (piece.content, content) if text is not None else (content,):
            for form in _search(self._in_hex, part):
                yield self._hex[form.lower().encode()], "in hex"
            for form in _search(self._in_base64, part):
                yield self._base64[form.encode()], "in base64"
        if self._any_run is not None and text is not None:
            for match in self._any_run.finditer(piece.content):
                first, last = match.span()
                around = piece.content[max(0, first - 1) : first] + piece.content[last : last + 1]
                run = match.group(0)
                word = self._runs.get(run) or self._runs.get(run.lower())
                if word is not None and not _OF_RUN.search(around):
                    yield word, "in hex or base64"

    def _whole_words(self, content: bytes) -> Iterator[str]:
        """Secrets that stand as whole words in a text.

        One automaton finds the places at which a secret may stand; each is looked at by itself.
        """
        place = 0
        while self._any_word is not None and (match := self._any_word.search(content, place)):
            low = max(0, match.start() - _MARGIN)
            high = match.start() + self._longest + _MARGIN
            window = content[low:high].decode("utf-8", "ignore")
            # What begins or ends the window may be a part of a longer word.
            for word in self._words.finditer(window):
                begins = word.start() > 0 or low == 0
                if begins and (word.end() < len(window) or high >= len(content)):
                    yield word[0].casefold()
            place = match.start() + 1


def _spelled(word: str) -> Iterator[bytes]:
    """Bytes of a secret that is long enough to be looked for in longer runs."""
    for spelled in dict.fromkeys((word, word.lower(), word.upper(), word.title())):
        if len(spelled.encode()) >= _PACKED:
            yield spelled.encode()
    if len(word.encode()) >= _PACKED:
        yield word.encode("utf-16-le")


def _hex_forms(word: str) -> Iterator[bytes]:
    for content in _spelled(word):
        yield content.hex().encode()


def _base64_forms(word: str) -> Iterator[bytes]:
    """The letters of base64 that a secret alone decides, at each alignment, in both alphabets."""
    for content in _spelled(word):
        for before in range(3):
            letters = base64.b64encode(b"\0" * before + content)
            # Letters that hold bits of a neighbour are left out.
            first, last = -(-8 * before // 6), 8 * (before + len(content)) // 6
            yield letters[first:last]
            yield letters[first:last].translate(_URL_SAFE)


def _words(words: Sequence[str], dates: Collection[str] = ()) -> re.Pattern[str]:
    if not words:
        return re.compile(r"(?!)")
    # Of two or three characters the case counts: "b2" is a batch, "B2" a place on a plate.
    either = [f"(?i:{re.escape(w)})" if len(w) >= _EITHER_CASE else re.escape(w) for w in words]
    # "2025-11-01T09:30", "ALS20251101_2", "20251101093000".
    days = [rf"(?i:{re.escape(w)})(?:(?![0-9])|{_HOUR})" for w in words if w in dates]
    named = rf"(?<![A-Za-z0-9])(?:{'|'.join(either)})(?![A-Za-z0-9])"
    return re.compile("|".join([named, *([rf"(?<![0-9])(?:{'|'.join(days)})"] if days else [])]))


def _literals(words: Collection[bytes], *, case: bool = False, encoding: str = "LATIN1") -> Any:
    """One automaton for all words: its time does not grow with their number."""
    import re2

    if not words:
        return None
    options = re2.Options()
    options.encoding = getattr(re2.Options.Encoding, encoding)
    options.case_sensitive = case
    options.max_mem = 1 << 28
    return re2.compile(b"|".join(map(re.escape, sorted(words, key=len, reverse=True))), options)


def _search(automaton: Any, content: bytes) -> Iterator[str]:
    if automaton is None:
        return
    for match in automaton.finditer(content):
        yield match.group(0).decode("utf-8", "replace")


def search_bundle(bundle: Path, search: SecretSearch, shipped: Collection[str] = ()) -> list[Hit]:
    """All hits in a bundle's files, and in the names of its files and folders.

    `shipped` are programs of this service that pages hold: they are taken out before the search,
    because a program's variables are not names of lines. Raises ReleaseRefused for a file that the
    bundle has no reason to hold, or that cannot be looked into.
    """
    hits: list[Hit] = []
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle).as_posix()
        hits += search.in_piece(name, Piece(f"the name {name}", name.encode()))
        if path.is_symlink():
            raise ReleaseRefused(f"{name}: is a link; a bundle holds files only")
        if path.is_dir():
            continue
        if path.suffix.lower() not in ENDINGS and not path.name.isdigit():
            raise ReleaseRefused(
                f"{name}: files of this kind are not part of a bundle; take it out of the folder"
            )
        content = path.read_bytes()
        for program in shipped:
            content = content.replace(program.encode(), b" ")
        for piece in pieces(name, content):
            hits += search.in_piece(name, piece)
        if path.name == "zarr.json" and json.loads(content).get("node_type") == "array":
            for piece in array_pieces(name, path.parent):
                hits += search.in_piece(name, piece)
    return hits
