"""The Python client: a running service, or a run's folder on disk. Light: httpx and the schemas; zarr only to read pixels."""

from __future__ import annotations

import base64
import csv
import io
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx

from imaging_service.errors import NotFound, ReviewConflict, ServiceError, StoreError
from imaging_service.review_log import ENGINE_VERSION, Crop, ReviewLog
from imaging_service.schemas import LabelVersion, Plate, RegistryChange, Run, Submission, Verdict, WellState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ServiceRefused(ServiceError):
    """The service answered with a problem, or not at all; the message is its detail."""

    code = "service_refused"

    def __init__(self, detail: str, status: int | None = None, problem: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem


class Client:
    """A running service.

    Use as a context manager. Every method raises ServiceRefused with the service's own explanation.
    """

    def __init__(self, url: str = "http://127.0.0.1:8765") -> None:
        # No time limit on reading: a submission is answered once all its files are hashed.
        self._http = httpx.Client(base_url=url, timeout=httpx.Timeout(10.0, read=None))
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; raises ServiceRefused with the service's explanation."""
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ServiceRefused(f"no answer from {self.url} ({error}); is `imaging-service serve` running there?") from error
        if answer.is_error:
            try:
                problem = answer.json()
            except ValueError:
                problem = {}
            raise ServiceRefused(str(problem.get("detail") or answer.text[:500]), answer.status_code, str(problem.get("type", "")))
        return answer

    def submit(
        self, scan: Path, plate_map: Path, protocol: Path, *, engine: str | None = None, device: str = "auto", plate: str = ""
    ) -> Run:
        """Submit a plate whose scan the service can reach by the same path; `plate` names it in a map of several."""
        try:
            content = tomllib.loads(protocol.read_text(encoding="utf-8"))
            sheet = plate_map.read_bytes()
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ServiceRefused(f"{protocol} or {plate_map} cannot be read: {error}") from error
        body = Submission(
            scan=str(scan.resolve()), plate_map_name=plate_map.name, plate_map_base64=base64.b64encode(sheet).decode(), protocol=content,
            engine=engine, device=device, plate=plate,
        )  # fmt: skip
        return Run.model_validate(self.ask("POST", "/runs", json=body.model_dump(mode="json")).json())

    def runs(self) -> list[Run]:
        """The newest runs."""
        return [Run.model_validate(r) for r in self.ask("GET", "/runs").json()]

    def run(self, run_id: str) -> Run:
        """One run with its progress."""
        return Run.model_validate(self.ask("GET", f"/runs/{run_id}").json())

    def plates(self) -> list[Plate]:
        """All plates."""
        return [Plate.model_validate(p) for p in self.ask("GET", "/plates").json()]

    def progress(self, run_id: str) -> list[WellState]:
        """How each well ended, so far."""
        return [WellState.model_validate(w) for w in self.ask("GET", f"/runs/{run_id}/progress").json()]

    def wells(self, run_id: str) -> list[dict[str, Any]]:
        """The well table as a list of rows."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/wells").json()
        return rows

    def responses(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """The response table as a list of rows; filters: line, compound, phenotype, status."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/responses", params=filters).json()
        return rows

    def hazards(self, run_id: str, **filters: str) -> list[dict[str, Any]]:
        """Survival over time as a list of rows; filters: line, compound, status."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/hazards", params=filters).json()
        return rows

    def checks(self, run_id: str) -> list[dict[str, Any]]:
        """Quality control of the plate as a list of rows."""
        rows: list[dict[str, Any]] = self.ask("GET", f"/runs/{run_id}/checks").json()
        return rows

    def registry(self, kind: Literal["lines", "batches"]) -> str:
        """The registry's lines or batches as TSV."""
        return self.ask("GET", f"/{kind}", params={"format": "tsv"}).text

    def put_registry(self, kind: Literal["lines", "batches"], text: str) -> RegistryChange:
        """Add or replace lines or batches from TSV text."""
        answer = self.ask("PUT", f"/{kind}", content=text.encode(), headers={"Content-Type": "text/tab-separated-values"})
        return RegistryChange.model_validate(answer.json())

    def review(self, run_id: str) -> RemoteRun:
        """A run of the service as the reviewer sees it."""
        return RemoteRun(self, run_id)

    def table_bytes(self, run_id: str, kind: str, fmt: str) -> bytes:
        """A table ("wells", "responses", "hazards" or "checks") as "csv" or "parquet" bytes."""
        return self.ask("GET", f"/runs/{run_id}/{kind}", params={"format": fmt}).content


@dataclass(frozen=True)
class FieldImage:
    """Pixels (C, Y, X) and labels (Y, X) of one field."""

    pixels: NDArray[np.generic]
    channels: tuple[str, ...]
    roles: tuple[str | None, ...]
    labels: dict[str, NDArray[np.int32]]
    pixel_size_um: float
    label_version: int = 1


def _plane(array: Any, frame: int) -> NDArray[np.int32]:
    import numpy as np

    return np.asarray(array[...] if array.ndim == 2 else array[frame - 1], np.int32)


class RunFolder:
    """The folder that `imaging-service analyze` wrote. Raises NotFound if it is not one."""

    def __init__(self, root: Path) -> None:
        record = root / "run.json"
        if not record.is_file():
            raise NotFound(f"{root} has no run.json; give the --out folder of a finished `imaging-service analyze`")
        self.root = root
        self.review = ReviewLog(root)
        self.record: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        plate = Path(self.record["plate"])
        # The folder may have been moved or mailed since: the plate beside the record comes first.
        self._plate = root / "plate.zarr" if (root / "plate.zarr").is_dir() else plate

    def _rows(self, name: str) -> list[dict[str, str]]:
        with (self.root / name).open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def wells(self) -> list[dict[str, str]]:
        """The well table, corrected where `review apply` has run; values as text, empty where there is none."""
        return self._rows("corrected/wells.csv" if (self.root / "corrected" / "corrected.json").is_file() else "wells.csv")

    def queue(self) -> list[tuple[str, int]]:
        """Fields in the order of `review queue`; empty where it was not made."""
        if not (self.root / "review" / "queue.csv").is_file():
            return []
        return [(row["well"], int(row["field"])) for row in self._rows("review/queue.csv")]

    def responses(self) -> list[dict[str, str]]:
        """The response table, likewise."""
        return self._rows("responses.csv")

    def fields(self, well: str) -> int:
        """Number of fields of a well that was analysed."""
        import zarr

        ome: Any = self._open(zarr, self._plate, well).attrs["ome"]
        return len(ome["well"]["images"])

    def read_field(self, well: str, field: int, frame: int = 1) -> FieldImage:
        """Pixels and the newest labels of a field and time point, both counted from 1. Raises StoreError."""
        import numpy as np
        import zarr

        group: Any = self._open(zarr, self._plate, f"{well}/{field - 1}")
        labels: Any = self._open(zarr, self.root / "labels.zarr", f"{well}/{field - 1}/labels")
        ome = group.attrs["ome"]
        scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        return FieldImage(
            pixels=np.asarray(group["0"][...] if group["0"].ndim == 3 else group["0"][frame - 1]),
            channels=tuple(c["label"] for c in ome["omero"]["channels"]),
            roles=tuple(group.attrs["motor_neuron"]["roles"]),
            labels=self.review.labels({name: _plane(labels[f"{name}/0"], frame) for name in labels.attrs["ome"]["labels"]}, well, field),
            pixel_size_um=float(scale[-1]),
            label_version=self.review.head(well, field),
        )

    def engine_labels(self, well: str, field: int) -> dict[str, NDArray[np.int32]]:
        """A field's labels as the engine made them. Raises StoreError."""
        import zarr

        labels: Any = self._open(zarr, self.root / "labels.zarr", f"{well}/{field - 1}/labels")
        return {name: _plane(labels[f"{name}/0"], 1) for name in labels.attrs["ome"]["labels"]}

    def close(self) -> None:
        """Nothing is held open."""

    @staticmethod
    def _open(zarr: Any, store: Path, path: str) -> Any:
        well, _, rest = path.partition("/")
        row, column = well.rstrip("0123456789"), well[len(well.rstrip("0123456789")) :]
        where = f"{row}/{int(column)}" + (f"/{rest}" if rest else "")
        try:
            return zarr.open_group(store / where, mode="r")
        except FileNotFoundError as error:
            raise StoreError(f"{store.name} has no {where}: well {well} was not analysed, or the store is incomplete") from error


class RemoteReview:
    """The reviewers' record of a run on a service; the methods that a review needs are those of ReviewLog."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client, self._path = client, f"/runs/{run_id}"

    def history(self, well: str, field: int) -> list[LabelVersion]:
        """Versions of a field's labels that reviewers made, oldest first."""
        answer = self._client.ask("GET", f"{self._path}/fields/{well}/{field}/history")
        return [LabelVersion.model_validate(v) for v in answer.json()]

    def head(self, well: str, field: int) -> int:
        """The newest version of a field's labels."""
        history = self.history(well, field)
        return history[-1].version if history else ENGINE_VERSION

    def commit(self, well: str, field: int, parent: int, crops: Mapping[str, Crop], author: str, reason: str) -> LabelVersion:
        """Write the next version. Raises ReviewConflict where somebody was faster, ServiceRefused for anything else."""
        import numpy as np

        stream = io.BytesIO()
        arrays: dict[str, Any] = {name: crop.labels for name, crop in crops.items()}
        arrays |= {f"origin_{name}": np.array([crop.y, crop.x]) for name, crop in crops.items()}
        np.savez_compressed(stream, **arrays)
        headers = {"If-Match": f'"{parent}"', "Content-Type": "application/x-npz"}
        try:
            answer = self._client.ask(
                "PATCH", f"{self._path}/fields/{well}/{field}/labels", content=stream.getvalue(), headers=headers,
                params={"author": author, "reason": reason},
            )  # fmt: skip
        except ServiceRefused as error:
            if error.status == ReviewConflict.http_status:
                raise ReviewConflict(str(error)) from error
            raise
        return LabelVersion.model_validate(answer.json())

    def revert(self, _base: Mapping[str, Any], well: str, field: int, to: int, author: str, reason: str) -> LabelVersion:
        """Go back to an earlier version, as a new one; the service knows the engine's labels itself."""
        body = {"to": to, "author": author, "reason": reason}
        return LabelVersion.model_validate(self._client.ask("POST", f"{self._path}/fields/{well}/{field}/revert", json=body).json())

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        self._client.ask("POST", f"{self._path}/verdicts", json=verdict.model_dump(mode="json"))

    def standing(self) -> dict[tuple[str, int | None, int | None], Verdict]:
        """(well, field, track) ► the verdict that stands."""
        verdicts = [Verdict.model_validate(v) for v in self._client.ask("GET", f"{self._path}/verdicts").json()]
        return {(v.well, v.field, v.track): v for v in verdicts}


class RemoteRun:
    """A finished run on a service, to be reviewed like a run's folder. Raises ServiceRefused with the service's own words."""

    def __init__(self, client: Client, run_id: str) -> None:
        self._client, self._path = client, f"/runs/{run_id}"
        self.record: dict[str, Any] = client.ask("GET", f"{self._path}/record").json()
        self.review = RemoteReview(client, run_id)
        self._wells = client.wells(run_id)

    def wells(self) -> list[dict[str, str]]:
        """The well table; values as text, empty where there is none."""
        return [{name: "" if value is None else str(value) for name, value in row.items()} for row in self._wells]

    def queue(self) -> list[tuple[str, int]]:
        """No ranking comes over HTTP in this version."""
        return []

    def fields(self, well: str) -> int:
        """Number of fields of a well that was analysed."""
        return next(int(row["n_fields"]) for row in self._wells if row["well"] == well)

    def read_field(self, well: str, field: int) -> FieldImage:
        """Pixels and the newest labels of a field, counted from 1."""
        import numpy as np

        answer = self._client.ask("GET", f"{self._path}/fields/{well}/{field}")
        with np.load(io.BytesIO(answer.content), allow_pickle=False) as sent:
            meta = json.loads(sent["meta"].tobytes())
            labels = {name.removeprefix("labels_"): sent[name] for name in sent.files if name.startswith("labels_")}
            return FieldImage(
                sent["pixels"],
                tuple(meta["channels"]),
                tuple(meta["roles"]),
                labels,
                float(meta["pixel_size_um"]),
                int(meta["label_version"]),
            )

    def engine_labels(self, _well: str, _field: int) -> dict[str, NDArray[np.int32]]:
        """Not needed: the service goes back to them itself."""
        return {}

    def close(self) -> None:
        """End the connection."""
        self._client.close()
