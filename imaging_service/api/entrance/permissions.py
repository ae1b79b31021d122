"""What each route asks of its caller. A route that is not listed here is closed to everyone.

The test of this table asks every route as every kind of caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from starlette.routing import compile_path

from imaging_service.access.roles import Role


class Of(Enum):
    """What the role must be held in."""

    OPEN = "needs no key"
    CALLER = "any caller; the answer holds only what the caller may see"
    RUN = "the project of the run in the path"
    PLATE = "the project of the plate in the path"
    PROJECT = "the project in the path or in ?project="
    LAB = "the caller's laboratory, or the one in ?lab="
    SERVICE = "all laboratories"
    RELEASES = "any caller, the key of a release as well; the answer holds what it may see"
    RELEASE = "the release in the path, by the key of a decided request"


@dataclass(frozen=True)
class Need:
    """A role in something. Changes are kept in the audit log, unless `audited` is off."""

    of: Of
    role: Role = Role.VIEWER
    audited: bool = True


VIEW, REVIEW, OPERATE, ADMINISTER = Role

_OPEN, _CALLER = Need(Of.OPEN), Need(Of.CALLER)
_RUN, _REVIEW, _OPERATE = Need(Of.RUN), Need(Of.RUN, REVIEW), Need(Of.RUN, OPERATE)
# The contents of an upload's files count for nothing before the commit, which is audited.
_CONTENT = Need(Of.PROJECT, OPERATE, audited=False)

PERMISSIONS: dict[tuple[str, str], Need] = {
    ("GET", "/health"): _OPEN,
    ("GET", "/health/live"): _OPEN,
    ("GET", "/health/ready"): _OPEN,
    # Counts of all laboratories together, for a monitor that has a key.
    ("GET", "/metrics"): _CALLER,
    ("GET", "/openapi.json"): _OPEN,
    ("HEAD", "/openapi.json"): _OPEN,
    ("GET", "/docs"): _OPEN,
    ("GET", "/login"): _OPEN,
    ("GET", "/open"): _OPEN,
    ("GET", "/login/oidc"): _OPEN,
    ("GET", "/login/oidc/callback"): _OPEN,
    ("POST", "/session"): _OPEN,
    ("GET", "/session"): _CALLER,
    ("POST", "/logout"): _CALLER,
    ("GET", "/"): _CALLER,
    ("GET", "/assets/{name:path}"): _OPEN,
    ("GET", "/models"): _CALLER,
    ("GET", "/engines"): _CALLER,
    ("GET", "/engines/own"): _CALLER,
    ("GET", "/quality"): _CALLER,
    ("GET", "/submit"): _CALLER,
    ("GET", "/submit/scan"): Need(Of.PROJECT, OPERATE),
    # Reads what is sent, and keeps nothing.
    ("POST", "/submit/map"): _CONTENT,
    ("POST", "/submit/run"): Need(Of.PROJECT, OPERATE),
    ("GET", "/screens"): _CALLER,
    ("POST", "/screens/order"): Need(Of.PROJECT, OPERATE),
    ("GET", "/screens/{screen}"): Need(Of.PROJECT),
    ("GET", "/screens/{screen}/progress"): Need(Of.PROJECT),
    ("GET", "/screens/{screen}/report"): Need(Of.PROJECT),
    ("GET", "/screens/{screen}/tables/{table}.{fmt}"): Need(Of.PROJECT),
    ("GET", "/exports"): _CALLER,
    ("GET", "/exports/progress"): _CALLER,
    ("POST", "/exports/order"): Need(Of.PROJECT),
    ("GET", "/offers"): _CALLER,
    ("GET", "/account/keys"): _CALLER,
    ("POST", "/account/keys"): _CALLER,
    ("POST", "/account/keys/{key}/rotate"): _CALLER,
    ("POST", "/account/keys/{key}/revoke"): _CALLER,
    ("GET", "/account/members"): Need(Of.LAB),
    ("POST", "/account/members"): Need(Of.LAB, ADMINISTER),
    ("POST", "/account/members/{member}/role"): Need(Of.LAB, ADMINISTER),
    ("POST", "/account/members/{member}/end"): Need(Of.LAB, ADMINISTER),
    ("POST", "/account/labs"): Need(Of.SERVICE, ADMINISTER),
    ("GET", "/account/projects"): _CALLER,
    ("POST", "/account/projects"): Need(Of.LAB, ADMINISTER),
    ("POST", "/account/projects/{project}/shares"): Need(Of.PROJECT, ADMINISTER),
    ("POST", "/account/projects/{project}/shares/{lab}/end"): Need(Of.PROJECT, ADMINISTER),
    ("GET", "/account/audit"): Need(Of.LAB, ADMINISTER),
    ("GET", "/view/{run}"): _RUN,
    ("GET", "/view/{run}/progress"): _RUN,
    ("POST", "/view/{run}/retry"): _OPERATE,
    ("POST", "/view/{run}/cancel"): _OPERATE,
    ("POST", "/view/{run}/resume"): _OPERATE,
    ("GET", "/view/{run}/plate"): _RUN,
    ("GET", "/view/{run}/quality"): _RUN,
    ("GET", "/view/{run}/review"): _RUN,
    ("GET", "/view/{run}/agreement"): _RUN,
    ("GET", "/view/{run}/responses"): _RUN,
    ("GET", "/view/{run}/curve"): _RUN,
    ("GET", "/view/{run}/line"): _RUN,
    ("GET", "/view/{run}/compound"): _RUN,
    ("GET", "/view/{run}/wells/{well}"): _RUN,
    ("GET", "/view/{run}/wells/{well}/fields/{field}/cell"): _RUN,
    ("GET", "/view/{run}/wells/{well}/fields/{field}/{layer}/{level}/{row}/{column}.png"): _RUN,
    ("GET", "/runs/{run}/charts/{name}"): _RUN,
    ("GET", "/plates"): _CALLER,
    ("GET", "/plates/{plate}"): Need(Of.PLATE),
    ("GET", "/plates/{plate}/maps"): Need(Of.PLATE),
    ("GET", "/plates/{plate}/maps/{version}"): Need(Of.PLATE),
    ("POST", "/plates/{plate}/maps"): Need(Of.PLATE, OPERATE),
    ("GET", "/events"): _CALLER,
    ("GET", "/responses"): _CALLER,
    ("GET", "/line"): _CALLER,
    ("GET", "/compound"): _CALLER,
    ("GET", "/runs"): _CALLER,
    ("POST", "/runs"): Need(Of.PROJECT, OPERATE),
    ("GET", "/runs/{run}"): _RUN,
    ("DELETE", "/runs/{run}"): _OPERATE,
    ("POST", "/runs/{run}/cancel"): _OPERATE,
    ("POST", "/runs/{run}/resume"): _OPERATE,
    ("POST", "/runs/{run}/retry"): _OPERATE,
    ("PUT", "/runs/{run}/priority"): _OPERATE,
    ("GET", "/runs/{run}/progress"): _RUN,
    ("GET", "/runs/{run}/wells"): _RUN,
    ("GET", "/runs/{run}/responses"): _RUN,
    ("GET", "/runs/{run}/hazards"): _RUN,
    ("GET", "/runs/{run}/checks"): _RUN,
    ("GET", "/runs/{run}/report"): _RUN,
    ("GET", "/runs/{run}/arrival"): _RUN,
    ("GET", "/runs/{run}/arrival/plates/{channel}.png"): _RUN,
    ("GET", "/runs/{run}/arrival/{table}"): _RUN,
    ("GET", "/runs/{run}/tables/{name}"): _RUN,
    ("GET", "/runs/{run}/record"): _RUN,
    ("GET", "/runs/{run}/files"): _RUN,
    ("GET", "/runs/{run}/files/{path:path}"): _RUN,
    ("GET", "/runs/{run}/cells"): _RUN,
    ("GET", "/runs/{run}/curves"): _RUN,
    ("GET", "/runs/{run}/agreement"): _RUN,
    ("GET", "/runs/{run}/plate.zarr/{path:path}"): _RUN,
    ("HEAD", "/runs/{run}/plate.zarr/{path:path}"): _RUN,
    ("GET", "/runs/{run}/fields/{well}/{field}/labels"): _RUN,
    ("PATCH", "/runs/{run}/fields/{well}/{field}/labels"): _REVIEW,
    ("GET", "/runs/{run}/fields/{well}/{field}/history"): _RUN,
    ("POST", "/runs/{run}/fields/{well}/{field}/revert"): _REVIEW,
    ("GET", "/runs/{run}/verdicts"): _RUN,
    ("POST", "/runs/{run}/verdicts"): _REVIEW,
    ("GET", "/runs/{run}/review"): _RUN,
    ("POST", "/runs/{run}/review"): _REVIEW,
    ("GET", "/runs/{run}/queue"): _RUN,
    ("POST", "/runs/{run}/queue/claims"): _REVIEW,
    ("GET", "/uploads"): Need(Of.PROJECT),
    ("POST", "/uploads"): Need(Of.PROJECT, OPERATE),
    ("GET", "/blobs/{sha256}"): _CONTENT,
    ("PUT", "/blobs/{sha256}"): _CONTENT,
    ("POST", "/uploads/{upload}/commit"): Need(Of.PROJECT, OPERATE),
    ("GET", "/lines"): Need(Of.LAB),
    ("PUT", "/lines"): Need(Of.LAB, OPERATE),
    ("GET", "/batches"): Need(Of.LAB),
    ("PUT", "/batches"): Need(Of.LAB, OPERATE),
    ("GET", "/compounds"): Need(Of.LAB),
    ("PUT", "/compounds"): Need(Of.LAB, OPERATE),
    ("GET", "/labs"): _CALLER,
    ("POST", "/labs"): Need(Of.SERVICE, ADMINISTER),
    ("PATCH", "/labs/{lab}"): Need(Of.SERVICE, ADMINISTER),
    ("GET", "/members"): Need(Of.LAB),
    ("POST", "/members"): Need(Of.LAB, ADMINISTER),
    ("PATCH", "/members/{member}"): Need(Of.LAB, ADMINISTER),
    ("DELETE", "/members/{member}"): Need(Of.LAB, ADMINISTER),
    ("GET", "/projects"): _CALLER,
    ("POST", "/projects"): Need(Of.LAB, ADMINISTER),
    ("GET", "/projects/{project}/shares"): Need(Of.PROJECT, ADMINISTER),
    ("PUT", "/projects/{project}/shares"): Need(Of.PROJECT, ADMINISTER),
    ("DELETE", "/projects/{project}/shares/{lab}"): Need(Of.PROJECT, ADMINISTER),
    ("GET", "/projects/{project}/protocols"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/protocols/{digest}"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/screens"): Need(Of.PROJECT),
    ("POST", "/projects/{project}/screens"): Need(Of.PROJECT, OPERATE),
    ("GET", "/projects/{project}/screens/{screen}"): Need(Of.PROJECT),
    ("DELETE", "/projects/{project}/screens/{screen}"): Need(Of.PROJECT, OPERATE),
    ("GET", "/projects/{project}/screens/{screen}/events"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/screens/{screen}/tables/{name}"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/screens/{screen}/report"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/screens/{screen}/files"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/screens/{screen}/files/{path:path}"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/exports"): Need(Of.PROJECT),
    # What a viewer may read a table at a time, a viewer may have written as one file.
    ("POST", "/projects/{project}/exports"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/exports/{export}"): Need(Of.PROJECT),
    ("DELETE", "/projects/{project}/exports/{export}"): Need(Of.PROJECT, OPERATE),
    ("GET", "/projects/{project}/exports/{export}/file"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/exports/{export}/events"): Need(Of.PROJECT),
    ("GET", "/projects/{project}/summaries"): Need(Of.PROJECT),
    ("POST", "/projects/{project}/summaries"): Need(Of.PROJECT, OPERATE),
    # A site that may send its own summary does not read those of the others.
    ("GET", "/projects/{project}/summaries/{site}"): Need(Of.PROJECT, ADMINISTER),
    ("DELETE", "/projects/{project}/summaries/{site}"): Need(Of.PROJECT, ADMINISTER),
    ("GET", "/releases"): Need(Of.RELEASES),
    ("GET", "/releases/{release}/bundle"): Need(Of.RELEASE),
    ("GET", "/keys"): _CALLER,
    ("POST", "/keys"): _CALLER,
    ("POST", "/keys/{key}/rotate"): _CALLER,
    ("DELETE", "/keys/{key}"): _CALLER,
    ("GET", "/audit"): Need(Of.LAB, ADMINISTER),
}
_PATTERNS = [
    (method, path, compile_path(path)[0], need) for (method, path), need in PERMISSIONS.items()
]


@dataclass(frozen=True)
class Asked:
    """A request's route, by its template, with the parts of its path."""

    template: str
    need: Need
    parts: dict[str, str]


def asked(method: str, path: str) -> Asked | None:
    """The row of a request; None where no row has this method and path."""
    for known, template, pattern, need in _PATTERNS:
        if known == method and (match := pattern.match(path)):
            return Asked(template, need, match.groupdict())
    return None


def unlisted(routes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(method, path) of routes that the table does not hold, and that would be closed therefore."""
    return sorted(set(routes) - set(PERMISSIONS))
