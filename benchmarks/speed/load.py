"""What 50 clients wait for who ask for tables at once, and whether the server's memory grows.

    python -m benchmarks.speed.load

The run is the one of `benchmarks.speed.pages`. Clients ask once per second, and then, to see where it
ends, each anew as soon as it has its answer; half of them hold the table already and send its ETag.
`cpu` is what the server's process worked for one answer. Times are those of the whole answer on
loopback, the clients' own work on the same cores included.
"""

from __future__ import annotations

import argparse
import http.client
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.speed.pages import PORT, RUN, make_store, serve

CLIENTS, SECONDS, REQUESTS = 50, 20, 20_000
KINDS = {
    "wells, 384 rows": f"/runs/{RUN}/wells",
    "responses, 600 rows": f"/runs/{RUN}/responses",
    "run page": f"/view/{RUN}",
}


class Client:
    """One that keeps its connection, as the Python client and browsers do."""

    def __init__(self, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        self.connection.request("GET", f"/open?token={token}")
        answer = self.connection.getresponse()
        answer.read()
        cookies = [c.split(";")[0] for c in answer.headers.get_all("Set-Cookie", [])]
        self.cookies = {"Cookie": "; ".join(cookies), "Accept-Encoding": "gzip"}

    def get(self, address: str, etag: str = "") -> tuple[str, bytes]:
        """The answer's ETag and bytes, none where the client has it already."""
        known = self.cookies if address.startswith("/view") else self.headers
        held = {"If-None-Match": etag} if etag else {}
        try:
            self.connection.request("GET", address, headers=known | held)
            answer = self.connection.getresponse()
        except http.client.RemoteDisconnected:
            # The server closes a connection on which nothing came for some seconds.
            self.connection.close()
            return self.get(address, etag)
        content = answer.read()
        if answer.status != (304 if etag else 200):
            raise SystemExit(f"{answer.status}: {address}\n{content[:500]!r}")
        return answer.headers.get("ETag", ""), content


def worked(process: psutil.Process) -> float:
    """Seconds of the processor, of the server and of the processes that it started."""
    every = [process, *process.children(recursive=True)]
    return sum(sum(p.cpu_times()[:2]) for p in every)


def resident(process: psutil.Process) -> float:
    """MiB."""
    every = [process, *process.children(recursive=True)]
    return sum(p.memory_info().rss for p in every) / 2**20


def ask(
    client: Client, address: str, etag: str, pause: float, until: float, times: list[float]
) -> None:
    rng = random.Random(id(client))
    while time.monotonic() < until:
        time.sleep(pause * rng.uniform(0.5, 1.5))
        start = time.perf_counter()
        client.get(address, etag)
        times.append(1000 * (time.perf_counter() - start))


def under_load(token: str, address: str, clients: int, pause: float, seconds: float) -> list[float]:
    """Milliseconds of each answer, sorted."""
    times: list[float] = []
    users = [Client(token) for _ in range(clients)]
    etag, _ = users[0].get(address)
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(
            target=ask, args=(user, address, etag if i % 2 else "", pause, until, times)
        )
        for i, user in enumerate(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(times)


def cost(client: Client, process: psutil.Process, address: str, etag: str, n: int = 300) -> float:
    """Milliseconds of the processor for one answer, asked for alone."""
    client.get(address, etag)
    before = worked(process)
    for _ in range(n):
        client.get(address, etag)
    return 1000 * (worked(process) - before) / n


@contextmanager
def served() -> Iterator[tuple[psutil.Process, str]]:
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        server, token = serve(Path(folder))
        try:
            yield psutil.Process(server.pid), token
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    with served() as (process, token):
        client = Client(token)
        print("| what | bytes, packed | cpu, ms | of a 304 | asked | median, ms | p95, ms | n |")
        print("|---|---|---|---|---|---|---|---|")
        for kind, address in KINDS.items():
            etag, content = client.get(address)
            whole, held = cost(client, process, address, ""), cost(client, process, address, etag)
            for pause, words in ((1.0, "once per second"), (0.0, "without a pause")):
                times = under_load(token, address, given.clients, pause, given.seconds)
                p95 = times[int(0.95 * (len(times) - 1))]
                print(
                    f"| {kind} | {len(content):,} | {whole:.2f} | {held:.2f} | {words} |"
                    f" {times[len(times) // 2]:.0f} | {p95:.0f} | {len(times)} |"
                )
        marks = [resident(process)]
        for _ in range(4):
            for i in range(REQUESTS // 4):
                client.get([*KINDS.values()][i % 3])
            marks.append(resident(process))
        text = " ► ".join(f"{m:.0f}" for m in marks)
        print(f"memory before, and after each quarter of {REQUESTS:,} more requests: {text} MiB")


if __name__ == "__main__":
    main()
