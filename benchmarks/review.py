"""How long a reviewer waits, and how much memory a long queue needs, in napari with the plug-in.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.review [--wells 384]

Six wells with one 2160² field of four channels are drawn and analysed (engine `classical`); the
other wells of the plate are links to them. Every figure is of the real widget, until Qt has nothing
left to do; drawing is by software here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import tifffile

SIDE, DRAWN = 2160, 6


def draw(folder: Path) -> Path:
    """A run of six wells with one field each."""
    from imaging_service.jobs.analyze import analyze
    from imaging_service.jobs.plan import read_inputs
    from imaging_service.protocol import parse_protocol
    from segmentation.phantoms.render import Culture, Optics, render

    scan = folder / "Scan"
    scan.mkdir(parents=True)
    rows = ["well,line,genotype,compound,dose,unit,control"]
    for n in range(DRAWN):
        well = f"A{n + 1:02d}"
        field = render(Culture(), Optics(shape=(SIDE, SIDE), pixel_size_um=0.325), n).field
        pixels = [*field.pixels, field.pixels[0]] if len(field.pixels) == 3 else list(field.pixels)
        for c, plane in enumerate(pixels[:4]):
            tifffile.imwrite(
                scan / f"Scan_{well}_s1_w{c + 1}.tif", plane.astype(np.uint16), compression="zlib"
            )
        rows.append(f"{well},SOD1-07,SOD1,{'DMSO,,,vehicle' if n < 3 else f'x,{n},uM,'}")
    (folder / "map.csv").write_text("\n".join(rows) + "\n")
    protocol = parse_protocol(
        {
            "name": "bench",
            "channels": {"dna": "1", "neurite": "2", "aggregate": "3"},
            "acquisition": {"pixel_size_um": 0.325},
            "segmentation": {"engine": "classical"},
            "response": {"phenotypes": ["live_density"]},
        },
        "bench",
    )
    analyze(
        lambda: read_inputs(scan, folder / "map.csv", protocol, None, "auto"),
        folder / "run",
        workers=2,
    )
    shutil.rmtree(scan)
    return folder / "run"


def multiply(run: Path, wells: int) -> None:
    """The same run with more wells: links to the drawn ones, and their rows again."""
    names = [f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(wells)]
    for store in (run / "plate.zarr", run / "labels.zarr"):
        for i, name in enumerate(names[DRAWN:], start=DRAWN):
            link = store / name[0] / str(int(name[1:]))
            link.parent.mkdir(exist_ok=True)
            if (store / "zarr.json").is_file() and not (link.parent / "zarr.json").exists():
                (
                    shutil.copy(store / "A" / "zarr.json", link.parent / "zarr.json")
                    if (store / "A" / "zarr.json").exists()
                    else None
                )
            link.symlink_to((store / "A" / str(i % DRAWN + 1)).resolve())
    table = pl.read_parquet(run / "wells.parquet")
    more = pl.concat(
        [table[i % DRAWN].with_columns(pl.lit(n).alias("well")) for i, n in enumerate(names)]
    )
    more.write_parquet(run / "wells.parquet")
    more.write_csv(run / "wells.csv")
    queue = pl.DataFrame(
        {"well": names, "field": [1] * wells, "score": [1.0] * wells, "why": ["bench"] * wells}
    )
    queue.write_csv(run / "review" / "queue.csv")


def serve(folder: Path, run: Path) -> tuple[subprocess.Popen, str, str]:
    """The service with the run as its own; returns the process, its address and the run's id."""
    import os

    import httpx
    from sqlmodel import Session

    from imaging_service.database.session import database_engine
    from imaging_service.database.tables import PlateRow, RunRow
    from imaging_service.jobs.durable.opening import prepare_database
    from imaging_service.jobs.durable.workflows import _insert_tables, run_folder
    from imaging_service.settings import Settings

    settings = Settings(data_dir=folder / "data")
    run_id = json.loads((run / "run.json").read_text())["run_id"]
    target = run_folder(settings, run_id).root
    target.parent.mkdir(parents=True)
    target.symlink_to(run.resolve())
    prepare_database(settings.url)
    with Session(database_engine(settings.url)) as session:
        session.add(
            PlateRow(id="p", name="p", rows=16, columns=24, channels="[]", pixel_size_um=0.325)
        )
        session.flush()
        session.add(
            RunRow(
                id=run_id,
                plate_id="p",
                protocol_name="x",
                engine="classical",
                state="done",
                n_wells=384,
                n_skipped=0,
            )
        )
        session.flush()
        _insert_tables(session, target, run_id, 1)
        session.commit()
    environment = {**os.environ, "IMAGING_SERVICE_DATA_DIR": str(settings.data_dir)}
    command = [
        sys.executable,
        "-m",
        "imaging_service.cli",
        "serve",
        "--port",
        "8798",
        "--no-worker",
    ]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = "http://127.0.0.1:8798"
    while True:
        try:
            httpx.get(f"{url}/health").raise_for_status()
            return server, url, run_id
        except httpx.HTTPError:
            time.sleep(0.2)


def settle() -> None:
    """Wait until Qt has nothing left to do."""
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QApplication.processEvents()


def timed(act) -> float:
    start = time.perf_counter()
    act()
    settle()
    return time.perf_counter() - start


def figures(viewer, widget, what: str) -> None:
    """Opening fields and saving strokes, in a session that is open."""
    session = widget.session

    def jump(position: int) -> None:
        session.go_to(session.wells[position])
        widget._show()

    cold = []
    for position in range(20, 80, 12):
        time.sleep(2.5)  # the time that a reviewer looks
        cold.append(timed(lambda p=position: jump(p)))
    ahead = []
    for _ in range(6):
        time.sleep(2.5)
        ahead.append(timed(widget.next))
    strokes = []
    layer = viewer.layers["nuclei"]
    for i in range(6):
        number = session.new_label()
        layer.paint((300 + 60 * i, 900), number)
        strokes.append(timed(widget.save))
    erased = []
    for _ in range(6):
        label = int(layer.data[layer.data > 0][0])
        erased.append(
            timed(lambda label=label: widget._correct(lambda s: s.erase("nuclei", label)))
        )
    for name, seconds in (
        ("field opened, not read ahead", cold),
        ("field opened, read ahead", ahead),
        ("stroke saved", strokes),
        ("cell erased", erased),
    ):
        print(
            f"{what:8} {name:30} median {statistics.median(seconds):.2f} s, worst"
            f" {max(seconds):.2f} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wells", type=int, default=384)
    wells = parser.parse_args().wells
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = draw(folder)
        multiply(run, wells)
        server, url, run_id = serve(folder, run)
        measure = [
            sys.executable,
            "-m",
            "benchmarks.review",
            "--inside",
            str(run),
            url,
            run_id,
            str(folder / "journal"),
        ]
        try:
            # a process of its own: the drawing's memory is not the reviewer's
            subprocess.run(measure, check=True)
        finally:
            server.terminate()


def inside(run: Path, url: str, run_id: str, journal: Path) -> None:
    """The reviewer's process."""
    import napari

    from napari_plugin.widget import ReviewWidget

    process = psutil.Process()
    viewer = napari.Viewer()
    widget = ReviewWidget(viewer)
    viewer.window.add_dock_widget(widget, area="right")
    settle()
    print(f"napari alone {process.memory_info().rss / 2**20:.0f} MiB")
    print(
        f"local    first field of a session     {timed(lambda: widget.open(run)):.2f} s (napari"
        " makes its layers)"
    )
    figures(viewer, widget, "local")
    widget.connect_to(url, run_id, journal)
    figures(viewer, widget, "HTTP")
    peak, start, seen = 0.0, time.perf_counter(), 0
    widget.open(run)
    while widget.session.next_ranked():
        widget._show()
        settle()
        widget.session.accept()
        seen += 1
        peak = max(peak, process.memory_info().rss / 2**20)
    print(
        f"queue of {seen} fields: {(time.perf_counter() - start) / seen:.2f} s per field without a"
        f" look, peak {peak:.0f} MiB"
    )
    widget.close_session()
    viewer.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]))
    else:
        main()
