"""An upload over a bad network to a service that is killed: what is corrupt, what is sent twice?

python -m benchmarks.speed.uploading [--files 3456] [--cut 0.01] [--kills 5]
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from imaging_service.client import Client
from imaging_service.upload import open_source, upload
from tests.service import free_port

SERVER = """
import sys
import uvicorn
from imaging_service.api.app import create_app
from imaging_service.database.session import upgrade
from imaging_service.settings import Settings
settings = Settings(data_dir=sys.argv[2])
upgrade(settings.url)
uvicorn.run(create_app(settings, "token"), port=int(sys.argv[1]), log_level="error")
"""


class Service:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.kills = folder, free_port(), 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(self.port), str(self.folder)]
        )
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/openapi.json")
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Cuts(httpx.BaseTransport):
    """Cuts a share of the connections after a random number of bytes."""

    def __init__(self, inner: httpx.BaseTransport, share: float, size: int) -> None:
        self.inner, self.share, self.size = inner, share, size
        self.rng, self.cuts, self.lock = np.random.default_rng(1), 0, threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            cut = request.method == "PUT" and self.rng.random() < self.share
            after = int(self.rng.integers(0, self.size))
            self.cuts += cut
        if cut:
            request.stream = Ending(request.stream, after)
        return self.inner.handle_request(request)


class Ending(httpx.SyncByteStream):
    def __init__(self, whole: httpx.SyncByteStream, after: int) -> None:
        self.whole, self.after = whole, after

    def __iter__(self):
        left = self.after
        for block in self.whole:
            yield block[:left]
            left -= len(block)
            if left <= 0:
                raise httpx.WriteError("cut")


def digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=3456)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--cut", type=float, default=0.01)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as made:
        scan = Path(made) / "plate"
        scan.mkdir()
        for i in range(given.files):
            (scan / f"p_{i:05}.tif").write_bytes(rng.bytes(given.size))
        service = Service(Path(made) / "data")
        moments = sorted(rng.uniform(0, given.files * given.size, given.kills).tolist())

        def kill() -> None:
            service.kill()
            service.start()
            service.kills += 1

        killers: list[threading.Thread] = []

        def show(there: int, _total: int) -> None:
            if moments and there >= moments[0] and not (killers and killers[-1].is_alive()):
                moments.pop(0)
                killers.append(threading.Thread(target=kill))
                killers[-1].start()

        start = time.perf_counter()
        with Client(f"http://127.0.0.1:{service.port}", read_seconds=60, key="token") as client:
            cuts = Cuts(client._http._transport, given.cut, given.size)
            client._http._transport = cuts
            sent = upload(open_source(scan), client, progress=show)
        seconds = time.perf_counter() - start
        for killer in killers:
            killer.join()
        there = digests(Path(sent.scan))
        corrupt = sum(there.get(name) != digest for name, digest in digests(scan).items())
        service.kill()
    print(
        f"{sent.files:,} files, {sent.bytes / 1e6:.0f} MB, {cuts.cuts} cut connections,"
        f" {service.kills} kills: {corrupt} corrupt, {len(there) - sent.files} too many,"
        f" {sent.again / sent.bytes:.2%} sent again, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
