"""A service of two laboratories, with a member in every role and a key of every kind."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.access.keys import make_key, revoke
from imaging_service.access.members import add_lab, add_member, add_project, end_member
from imaging_service.access.roles import Role
from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.database.tenants import now
from imaging_service.settings import Settings

RUN, FOREIGN_RUN, MISSING = "a" * 20, "b" * 20, "c" * 20
PLATE, FOREIGN_PLATE = "d" * 20, "e" * 20
HTTP = "http://testserver"


@dataclass
class TwoLabs:
    """Lab `alpha` with project `als` and one run, lab `beta` with project `ftd` and another.

    `keys` are by kind of caller, `members` by name.
    """

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.folder)

    def session(self) -> Session:
        return Session(database_engine(self.settings.url))

    def copy(self, folder: Path) -> TwoLabs:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        copy = TwoLabs(folder, dict(self.keys), dict(self.members))

        # A test does not outlive the machine's power: it need not wait for the disk.
        @sa.event.listens_for(database_engine(copy.settings.url), "connect")
        def _hurry(connection, _record):
            connection.execute("PRAGMA synchronous=OFF")

        return copy

    @cached_property
    def app(self):
        from imaging_service.api.app import create_app

        return create_app(self.settings)

    def close(self) -> None:
        database_engine(self.settings.url).dispose()

    def shown(self, caller: str) -> dict[str, str]:
        """Headers of a kind of caller."""
        return {} if caller == "anonymous" else {"Authorization": f"Bearer {self.keys[caller]}"}

    def ask(self, caller: str, method: str, path: str, *, headers=None, **more) -> httpx.Response:
        """One request to the application, without a server."""
        return ask(self.app, method, path, self.shown(caller) | (headers or {}), **more)


def ask(app, method: str, path: str, headers: dict[str, str], **more) -> httpx.Response:
    async def one():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HTTP) as http:
            return await http.request(method, path, headers=headers, **more)

    return asyncio.run(one())


def make_two_labs(folder: Path) -> TwoLabs:
    made = TwoLabs(folder)
    upgrade(made.settings.url)
    with made.session() as session:
        add_lab(session, "core", "Core facility")
        for lab, project, run, plate in (
            ("alpha", "als", RUN, PLATE),
            ("beta", "ftd", FOREIGN_RUN, FOREIGN_PLATE),
        ):
            add_lab(session, lab, f"Laboratory {lab}")
            add_project(session, lab, project)
            session.add(
                PlateRow(
                    id=plate,
                    project_id=project,
                    name=f"plate of {lab}",
                    rows=8,
                    columns=12,
                    channels="[]",
                    pixel_size_um=0.5,
                )
            )
            session.flush()
            session.add(
                RunRow(
                    id=run,
                    project_id=project,
                    plate_id=plate,
                    protocol_name="x",
                    engine="classical",
                    n_wells=3,
                    n_skipped=0,
                )
            )
        everyone = {role.value: ("alpha", role) for role in Role}
        everyone |= {
            "other lab": ("beta", Role.ADMINISTRATOR),
            "other viewer": ("beta", Role.VIEWER),
        }
        for name, (lab, role) in everyone.items():
            _with_key(made, session, name, lab, role)
        _with_key(made, session, "service", "core", Role.ADMINISTRATOR, everywhere=True)
        _with_key(made, session, "former", "alpha", Role.ADMINISTRATOR)
        from imaging_service.access.members import find_member

        administrator = find_member(session, "administrator")
        limited = make_key(session, administrator, "limited", role=Role.VIEWER)
        expired = make_key(session, administrator, "expired")
        revoked = make_key(session, administrator, "revoked")
        bound = make_key(session, administrator, "bound", project="als")
        expired.row.expires_at = now() - timedelta(seconds=1)
        revoke(revoked.row)
        made.keys |= {
            "wrong scope": limited.secret,
            "expired": expired.secret,
            "revoked": revoked.secret,
            "bound": bound.secret,
        }
        end_member(session, find_member(session, "former"))
        session.commit()
    made.close()
    return made


def _with_key(made: TwoLabs, session: Session, name: str, lab: str, role: Role, **more) -> None:
    member = add_member(session, lab, name, role, **more)
    made.members[name] = member.id
    made.keys[name] = make_key(session, member, "key").secret
