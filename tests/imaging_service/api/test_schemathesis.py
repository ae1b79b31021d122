"""Requests that the OpenAPI document allows, and many that it does not: what each is answered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.key_file import KEY
from tests.service import Service

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
HOOKS = '''
"""How a body is written that is not JSON."""
import schemathesis

@schemathesis.serializer("application/x-npz", "application/octet-stream", "application/zip")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
'''


# Answers without an end; test_events.py and test_screens.py of the routes read them.
ENDLESS = (
    "/events",
    "/projects/{project}/screens/{screen}/events",
    "/projects/{project}/exports/{export}/events",
)


def asked_everything(
    service: Service, authorization: str, folder: Path, left_out: Sequence[str], *options: str
) -> None:
    """Every route of the document but those that are left out is asked, and answers as it says."""
    (folder / "hooks.py").write_text(HOOKS)
    (folder / "schemathesis.toml").write_text("[cache]\nenabled = false\n")
    ended = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{service.url}/openapi.json",
            f"--header=Authorization: {authorization}",
            f"--checks={','.join(CHECKS)}",
            *(f"--exclude-path={path}" for path in left_out),
            *options,
            "--request-timeout=60",
            "--seed=1",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
    # Nothing else was left out: as many routes were tested as the document has.
    selected, described = map(int, re.search(r"Selected: (\d+)/(\d+)", ended.stdout).groups())
    assert selected == described - len(left_out) > 60


def with_a_worker(url: str) -> None:
    """One that is heard of for as long as this takes: without it, the service is not ready."""
    with Session(database_engine(url)) as session:
        session.add(
            WorkerRow(
                name="w", host="h", process=1, version="v", seen=time.time() + 1e6, state="working"
            )
        )
        session.commit()


@pytest.mark.slow
def test_no_request_has_the_server_fail_or_answer_what_its_document_does_not_say(served, tmp_path):
    with_a_worker(served.settings.url)
    service = Service(Path(served.settings.data_dir).parent, tmp_path)
    service.start(worker=False)
    phases = "--phases=examples,coverage,fuzzing,stateful"
    try:
        asked_everything(service, service.key, tmp_path, ENDLESS, phases, "--max-examples=5")
    finally:
        service.stop()


@pytest.mark.slow
@pytest.mark.parametrize("caller", ["administrator", "operator", "other viewer"])
def test_nor_does_a_request_with_a_member_s_key(made_labs, tmp_path, monkeypatch, caller):
    labs = made_labs.copy(tmp_path / "data")
    with_a_worker(labs.settings.url)
    service = Service(tmp_path, tmp_path / "scans")
    monkeypatch.setenv(KEY, labs.keys["viewer"])
    service.start(worker=False).close()
    # The runs of these laboratories are rows without a folder, with which they could go on.
    left_out = (*ENDLESS, "/runs/{run}/resume", "/runs/{run}/retry")
    phases = "--phases=examples,coverage,fuzzing"
    try:
        key = f"Bearer {labs.keys[caller]}"
        asked_everything(service, key, tmp_path, left_out, phases, "--max-examples=3")
    finally:
        service.stop()
        labs.close()
