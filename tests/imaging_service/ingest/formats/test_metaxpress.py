from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging_service.errors import ScanError
from imaging_service.ingest.formats.metaxpress import read_htd
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.plan import Limits
from plate_maps import PlateFormat
from tests.messages import says


def htd(folder, content, name="p.HTD"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_htd(scan_files(folder, Limits()))


def test_a_real_one(reference, tmp_path):
    acquired = htd(tmp_path, (reference / "vendor/imagexpress_exported/9987.HTD").read_bytes())
    assert acquired.format == PlateFormat(8, 12)
    assert acquired.waves == ("DAPI", "FITC", "Texas Red", "Cy5")
    told = acquired.announced
    assert [w.name for w in told.wells] == ["B02", "B03"]
    assert (told.fields, told.planes, told.times, told.source) == (2, 0, 6, "p.HTD")


def test_no_file_announces_nothing(tmp_path):
    assert read_htd(scan_files(tmp_path, Limits())) is None


def test_waves_of_one_name_are_told_apart(tmp_path):
    acquired = htd(tmp_path, '"NWavelengths", 3\n"WaveName1", "GFP"\n"WaveName2", "GFP"\n')
    assert acquired.waves == ("GFP (1)", "GFP (2)", "3")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('"TimePoints", six', says("metaxpress.key_named", key="TimePoints")),
        ('"XWells", 1000000000\n"YWells", 8', says("plate_size.too_large")),
        ('"XWells", -8\n"YWells", 8', says("metaxpress.key_named", key="XWells")),
        ('"NWavelengths", 3.5', says("metaxpress.key_named", key="NWavelengths")),
    ],
)
def test_numbers_that_are_none_are_refused_by_key(tmp_path, line, sentence):
    with pytest.raises(ScanError, match=sentence):
        htd(tmp_path, line)


KEYS = (
    "XWells",
    "YWells",
    "TimePoints",
    "ZSeries",
    "ZSteps",
    "NWavelengths",
    "WaveName1",
    "Sites",
    "YSites",
    "SiteSelection1",
    "WellsSelection2",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.tuples(st.sampled_from(KEYS), st.lists(st.text(max_size=12), max_size=4)), max_size=8
        ).map(
            lambda rows: "\n".join(f'"{k}", {", ".join(v)}' for k, v in rows).encode(
                "utf-8", "replace"
            )
        ),
    )
)
def test_any_bytes_are_read_or_refused_by_name(tmp_path, content):
    try:
        htd(tmp_path, content)
    except ScanError as error:
        assert "p.HTD" in str(error)
