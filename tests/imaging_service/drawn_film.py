"""A small time-lapse plate with deaths that were drawn, analysed and served in this process."""

from __future__ import annotations

from pathlib import Path

import tifffile

from segmentation.phantoms.films import Film, render_film
from segmentation.phantoms.render import Optics

FRAMES, INTERVAL_H = 6, 12.0
PIXEL_UM = 0.9
_OPTICS = Optics(shape=(360, 360), pixel_size_um=PIXEL_UM)
# Deaths per hour of vehicle, treated and killed wells, and what the plate map says of them.
_ARMS = {
    0.008: ("DMSO,,,vehicle", ("B02", "B03", "B04")),
    0.03: ("x,1,uM,", ("B05", "B06", "B07")),
    1e6: ("azide,10,mM,positive", ("B08", "B09")),
}
FILM_WELLS = {well: hazard for hazard, (_, wells) in _ARMS.items() for well in wells}


def drawn_film(well: str) -> tuple[Film, Optics, int]:
    """What `render_film` and `film_truth` take for a well."""
    film = Film(
        frames=FRAMES,
        interval_h=INTERVAL_H,
        neurons_per_mm2=260,
        hazard_per_h=FILM_WELLS[well],
        vanish=False,
        debris_per_frame=0.5,
    )
    return film, _OPTICS, int(well[1:])


def film_inputs(folder: Path):
    """Draw the plate into a folder, and read it: two channels, one field per well."""
    from imaging_service.jobs.plan import read_inputs
    from imaging_service.protocol import parse_protocol

    rows = ["well,line,genotype,compound,dose,unit,control,batch"]
    for well, hazard in FILM_WELLS.items():
        for t, field in enumerate(render_film(*drawn_film(well)), start=1):
            place = folder / "Film-1" / f"TimePoint_{t}"
            place.mkdir(parents=True, exist_ok=True)
            for c in (0, 1):
                path = place / f"Film_{well}_s1_w{c + 1}.tif"
                tifffile.imwrite(path, field.pixels[c], compression="zlib")
        rows.append(f"{well},L1,SOD1,{_ARMS[hazard][0]},b1")
    (folder / "map.csv").write_text("\n".join(rows) + "\n")
    protocol = parse_protocol(
        {
            "name": "live",
            "channels": {"neurite": "1", "death": "2"},
            "segmentation": {"engine": "classical"},
            "acquisition": {"pixel_size_um": PIXEL_UM, "frame_interval_h": INTERVAL_H},
            "survival": {"definition": "gedi"},
            "response": {"phenotypes": ["rmst_h"]},
        },
        "live",
    )
    return read_inputs(folder / "Film-1", folder / "map.csv", protocol, None, "cpu")
