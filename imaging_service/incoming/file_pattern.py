"""A file name's well, field and channel by a regular expression that takes linear time.

The expression may come from a foreign request. Python's `re` can take for ever over a few dozen
characters, and holds every thread of the process meanwhile; RE2 cannot.
"""

from __future__ import annotations

from typing import Any


class FilePattern:
    """A compiled pattern; upper and lower case are the same.

    Raises ValueError for what is not a regular expression, and for what cannot be matched in
    linear time (looking ahead or behind, references to an earlier group).
    """

    def __init__(self, text: str) -> None:
        # The client's install has no use for it.
        import re2

        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        try:
            self._compiled: Any = re2.compile(text, options)
        except (re2.error, UnicodeEncodeError) as error:
            raise ValueError(_why(error)) from error
        self.groups = frozenset(self._compiled.groupindex)

    def match(self, name: str) -> dict[str, str | None] | None:
        """The named groups of a name that fits from its beginning; None for any other.

        A name that is not UTF-8 fits no pattern.
        """
        try:
            hit = self._compiled.match(name)
        except UnicodeEncodeError:
            return None
        return None if hit is None else dict(hit.groupdict())


def _why(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    text = cause.decode(errors="replace") if isinstance(cause, bytes) else str(error)
    advice = "" if "perl operator" not in text else "; neither lookaround nor (?…) flags are known"
    return f"{text}{advice}"
