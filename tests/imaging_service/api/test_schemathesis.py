"""Requests that the OpenAPI document allows, and many that it does not: what each is answered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
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


@pytest.mark.slow
def test_no_request_has_the_server_fail_or_answer_what_its_document_does_not_say(served, tmp_path):
    with Session(database_engine(served.settings.url)) as session:
        # A worker that is heard of for as long as this takes: without one, the service is not ready.
        session.add(
            WorkerRow(
                name="w", host="h", process=1, version="v", seen=time.time() + 1e6, state="working"
            )
        )
        session.commit()
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text("[cache]\nenabled = false\n")
    service = Service(Path(served.settings.data_dir).parent, tmp_path)
    service.start(worker=False)
    try:
        ended = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{service.url}/openapi.json",
                f"--header=Authorization: {service.key}",
                f"--checks={','.join(CHECKS)}",
                "--phases=examples,coverage,fuzzing,stateful",
                # Answers without an end; test_events.py and test_screens.py of the routes read them.
                "--exclude-path=/events",
                "--exclude-path=/projects/{project}/screens/{screen}/events",
                "--exclude-path=/projects/{project}/exports/{export}/events",
                "--max-examples=5",
                "--request-timeout=60",
                "--seed=1",
                "--continue-on-failure",
                "--no-color",
            ],
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        service.stop()
    assert ended.returncode == 0, ended.stdout[-6000:]
    # Nothing else was left out: as many routes were tested as the document has.
    selected, described = map(int, re.search(r"Selected: (\d+)/(\d+)", ended.stdout).groups())
    assert selected == described - 3 > 60
