"""Which lines a release may hold: what the consent of their donors allows, line by line.

A line is a donor, so a row of a line leaves the laboratory only where the consent says so in DUO
codes, with a scope that reaches as far as the release, and as long as it was not withdrawn. What
cannot be read is not allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from plate_maps.consent import DUO, PERMISSIONS, duo_codes, holds_other_text
from plate_maps.registry import Line


class Tier(StrEnum):
    """Who receives a release: anyone, or those whose request was approved."""

    OPEN = "open"
    CONTROLLED = "controlled"


class ConsentCode(StrEnum):
    """Why a line is in a release or not."""

    ALLOWED = "allowed"
    WITHDRAWN = "withdrawn"
    LEFT_OUT = "left_out"
    NOT_REGISTERED = "not_registered"
    UNREADABLE = "unreadable"
    NO_PERMISSION = "no_permission"
    SCOPE = "scope"
    RESTRICTED = "restricted"


# An open release cannot ask what its readers do, so it takes consents that do not ask either.
_OPEN = frozenset({DUO["NRES"], DUO["GRU"]})
# A licence without commercial use carries these restrictions to every reader.
_NON_COMMERCIAL = frozenset({DUO["NCU"], DUO["NPU"], DUO["NPUNCU"]})
_SHORT = {code: name for name, code in DUO.items()}


@dataclass(frozen=True)
class Decision:
    """Whether one line may be released, and why."""

    line: str
    donor: str
    code: ConsentCode
    reason: str
    duo: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the line is in the release."""
        return self.code is ConsentCode.ALLOWED


def decide(
    names: Iterable[str],
    lines: Mapping[str, Line],
    tier: Tier,
    *,
    licence: str = "",
    left_out: Collection[str] = (),
) -> list[Decision]:
    """Decide on lines of plates, in alphabetical order.

    Parameters
    ----------
    names
        Lines of the plates that are to be released.
    lines
        The line registry, by name. A withdrawal on any line of a donor holds for all of them.
    tier, licence
        Of the release.
    left_out
        Lines that the form leaves out.

    Examples
    --------
    >>> from plate_maps.registry import Line
    >>> known = {"A": Line("A", "D1", consent="GRU", consent_scope="open")}
    >>> [(d.line, d.code.value) for d in decide(["A", "B"], known, Tier.OPEN)]
    [('A', 'allowed'), ('B', 'not_registered')]
    """
    withdrawn = {line.donor for line in lines.values() if line.withdrawn == "yes"}
    return [
        _decide(name, lines.get(name), tier, licence, withdrawn, left_out)
        for name in sorted(set(names))
    ]


def _decide(
    name: str,
    line: Line | None,
    tier: Tier,
    licence: str,
    withdrawn: Collection[str],
    left_out: Collection[str],
) -> Decision:
    if line is None:
        return Decision(
            name,
            "",
            ConsentCode.NOT_REGISTERED,
            f"line {name} is not in the line registry, so its donor's consent is unknown",
        )
    codes = duo_codes(line.consent)
    code, reason = _verdict(line, codes, tier, licence, withdrawn, left_out)
    return Decision(name, line.donor, code, reason, codes)


def _verdict(
    line: Line,
    codes: tuple[str, ...],
    tier: Tier,
    licence: str,
    withdrawn: Collection[str],
    left_out: Collection[str],
) -> tuple[ConsentCode, str]:
    name = line.line
    if line.donor in withdrawn:
        return ConsentCode.WITHDRAWN, f"the donor of line {name} has withdrawn"
    if name in left_out:
        return ConsentCode.LEFT_OUT, f"line {name} is left out by exclude_lines"
    if not codes or holds_other_text(line.consent):
        return ConsentCode.UNREADABLE, (
            f"the consent of line {name} cannot be read as DUO codes alone; write for example"
            " HMB-NPUNCU, and each restriction as a code"
        )
    if not PERMISSIONS & set(codes):
        return ConsentCode.NO_PERMISSION, (
            f"the consent of line {name} has modifiers but no permission (NRES, GRU, HMB, DS, POA)"
        )
    reach = {"open": (Tier.OPEN, Tier.CONTROLLED), "controlled": (Tier.CONTROLLED,)}
    if tier not in reach.get(line.consent_scope, ()):
        scope = line.consent_scope or "not given"
        return ConsentCode.SCOPE, (
            f"consent_scope of line {name} is {scope}, which does not reach {tier.value} releases"
        )
    if tier is Tier.OPEN:
        carried = _NON_COMMERCIAL if "-NC" in licence else frozenset()
        restricting = [c for c in codes if c not in _OPEN | carried]
        if restricting:
            named = ", ".join(_SHORT[c] for c in restricting)
            return ConsentCode.RESTRICTED, (
                f"the consent of line {name} restricts use ({named}), which an open release cannot"
                " enforce; release it under controlled access"
            )
    return ConsentCode.ALLOWED, ""
