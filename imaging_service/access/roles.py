"""Roles, in order, and the caller of a request with what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What may be done in a project or a laboratory; each role may do all that those before may.

    Examples
    --------
    >>> Role.OPERATOR.includes(Role.REVIEWER), Role.VIEWER.includes(Role.REVIEWER)
    (True, False)
    """

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    @property
    def rank(self) -> int:
        """0 for viewer up to 3 for administrator."""
        return list(Role).index(self)

    def includes(self, other: Role) -> bool:
        """Whether this role may do what the other may."""
        return self.rank >= other.rank


def least(*roles: Role) -> Role:
    """The role that may do least.

    Examples
    --------
    >>> least(Role.OPERATOR, Role.VIEWER)
    <Role.VIEWER: 'viewer'>
    """
    return min(roles, key=lambda role: role.rank)


def key_role(owner: Role, limit: Role) -> str:
    """What a key may do, in words: its owner's role, or the lesser one that it is limited to.

    Examples
    --------
    >>> key_role(Role.REVIEWER, Role.ADMINISTRATOR), key_role(Role.OPERATOR, Role.REVIEWER)
    ('reviewer', 'reviewer (limited from operator)')
    """
    role = least(owner, limit)
    return role.value if role is owner else f"{role} (limited from {owner})"


@dataclass(frozen=True)
class Caller:
    """A request's caller, with the limits of the key that was shown.

    Attributes
    ----------
    member, name, lab
        The key's owner: id, name, laboratory.
    key
        The key's id; empty for a sign-in without a key.
    roles
        Project ► role in it; a project that is missing does not exist for the caller.
    lab_role
        Role in the caller's laboratory; None for a key that is bound to one project.
    everywhere
        Whether the caller administers all laboratories.
    release
        The only release that the key opens: that of a decided request; the caller is not a member.
    local
        Whether this is the one user of a service without keys.
    by_browser
        Whether a browser's session was shown, which it also sends for pages of other sites.
    """

    member: str
    name: str
    lab: str
    key: str = ""
    roles: Mapping[str, Role] = field(default_factory=dict)
    lab_role: Role | None = None
    everywhere: bool = False
    release: str = ""
    local: bool = False
    by_browser: bool = False

    def author(self, named: str) -> str:
        """The name under which a correction or verdict is kept: the key's owner.

        A service without keys does not know which of several people sits at the machine, so it
        takes the name that the client gives.
        """
        return named if self.local and named.strip() else self.name
