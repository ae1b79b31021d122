"""A controlled release that a service of two laboratories hands over, with one approved request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imaging_service.database.tenants import now
from imaging_service.release.requests import offers, records
from imaging_service.release.requests.records import decide, make_request
from tests.imaging_service.release.requests.test_records import ANSWERS, bundle_of


@dataclass
class Offered:
    """The service, the release's folder and bundle, its id there, and the requester's key."""

    labs: object
    folder: Path
    bundle: Path
    release: str
    request: str
    key: str

    def get(self, path: str, **more):
        self.labs.keys["requester"] = self.key
        return self.labs.ask("requester", "GET", path, **more)


def approved(folder: Path, bundle: Path, when=None, **more) -> tuple[str, str]:
    """The id of an approved request, and its key."""
    when = when or now()
    made = make_request(folder, bundle, when, **ANSWERS | more)
    _, key = decide(folder, bundle, made.id, when, by="Jan Smit", approve=True, reason="fits")
    return made.id, key


def offered_release(labs, root: Path, patch, name: str = "als-2026", lab: str = "alpha") -> Offered:
    """Offer a bundle of a laboratory; its donors are not asked for."""
    for module in (records, offers):
        patch.setattr(module, "withdrawn_since", lambda folder, digest: 0)
    folder = root / name
    folder.mkdir(parents=True)
    bundle = bundle_of(root / f"bundle of {name}")
    request, key = approved(folder, bundle)
    with labs.session() as session:
        release = offers.offer(labs.settings, session, folder, bundle, lab, "ann").id
        session.commit()
    return Offered(labs, folder, bundle, release, request, key)
