"""Two small plates and two protocols, and the tables that nothing disturbed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import tifffile

from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify, lay_out, read_inputs
from imaging_service.jobs.records import RunFolder
from imaging_service.jobs.summary import TABLES, summarise
from imaging_service.jobs.well import begin, process_well
from imaging_service.protocol import load_protocol
from segmentation.phantoms.render import Culture, Optics, render

CONTROLS, DOSES = ("02", "03"), ("04", "05", "06", "07")
WELLS = tuple(f"{row}{column}" for row in "BC" for column in (*CONTROLS, *DOSES))
CHANNELS = '[channels]\ndna = "1"\nneurite = "2"\naggregate = "3"\n'
PHENOTYPES = (["live_density", "nc_log2_aggregate"], ["live_density"])


@dataclass(frozen=True)
class Work:
    """What is submitted, and what must come of it."""

    name: str
    scan: Path
    plate_map: Path
    protocol: Path
    # Table ► bytes of its Parquet file.
    tables: dict[str, bytes]

    def rows(self, table: str) -> list[dict[str, object]]:
        """The table as the service's JSON has it."""
        return json.loads(json.dumps(pl.read_parquet(self.tables[table]).to_dicts()))


def drawn_work(folder: Path, scans: Path) -> list[Work]:
    """Each plate by each protocol, with the tables that the same code gives in this process."""
    plate_map = folder / "map.csv"
    plate_map.write_text(_plate_map())
    work = []
    for plate in (1, 2):
        scan = _draw(scans / f"Random-{plate}", plate)
        for number, phenotypes in enumerate(PHENOTYPES, start=1):
            protocol = folder / f"protocol-{number}.toml"
            protocol.write_text(
                f'name = "random-{number}"\nresponse.phenotypes = {json.dumps(phenotypes)}\n'
                f'segmentation.engine = "classical"\n{CHANNELS}'
            )
            name = f"plate {plate}, protocol {number}"
            tables = _undisturbed(
                scan, plate_map, protocol, folder / f"undisturbed-{plate}-{number}"
            )
            work.append(Work(name, scan, plate_map, protocol, tables))
    return work


def _plate_map() -> str:
    lines = ["well,line,genotype,compound,dose,unit,control,batch"]
    for row, line in (("B", "L1,SOD1"), ("C", "L2,healthy")):
        lines += [f"{row}{column},{line},DMSO,,,vehicle,b1" for column in CONTROLS]
        lines += [f"{row}{c},{line},x,{10.0 ** (i - 2)},uM,,b1" for i, c in enumerate(DOSES)]
    return "\n".join(lines) + "\n"


def _draw(scan: Path, plate: int) -> Path:
    """Two fields of 224² px at 0.65 µm per well."""
    scan.mkdir(parents=True)
    optics, size = Optics(shape=(224, 224)), {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    for i, well in enumerate(WELLS):
        for field in (1, 2):
            culture = Culture(neurons_per_mm2=700, puncta_per_neuron=2.0)
            pixels = render(culture, optics, 1000 * plate + 10 * i + field).field.pixels
            for channel in range(3):
                path = scan / f"p_{well}_s{field}_w{channel + 1}.tif"
                tifffile.imwrite(path, pixels[channel], ome=True, metadata={"axes": "YX", **size})
    return scan


def _undisturbed(scan: Path, plate_map: Path, protocol: Path, root: Path) -> dict[str, bytes]:
    inputs = read_inputs(scan, plate_map, load_protocol(protocol), None, "cpu")
    folder = RunFolder(root)
    record = lay_out(*identify(inputs), folder)
    begin(record.plate)
    calibrate(folder)
    summarise(folder.root, {name: process_well(folder.root, name) for name in record.wells})
    return {name: (root / f"{name}.parquet").read_bytes() for name in TABLES}
