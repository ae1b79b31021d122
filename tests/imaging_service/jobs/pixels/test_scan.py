"""What is read of a scan: planes, time points, hours; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cv2 import GaussianBlur

from imaging_service.errors import ImageError
from imaging_service.ingest.plan import ImageRef
from imaging_service.jobs.pixels import scan
from imaging_service.jobs.pixels.scan import camera_field, exposed_h, read_stack
from imaging_service.protocol import parse_protocol
from plate_maps import Well
from segmentation.phantoms.render import Culture, Optics, render
from tests import drawn
from tests.imaging_service.drawn_tasks import SURVIVAL, plane, stack_task
from tests.messages import says


def test_planes_are_projected_by_their_maximum_channel_by_channel(tmp_path):
    task = stack_task(
        tmp_path,
        {
            (1, 1, "1", 1): plane(1, 9),
            (1, 1, "1", 2): plane(5, 2),
            (1, 1, "2", 1): plane(7, 8),
            (1, 1, "2", 2): plane(3, 3),
        },
    )
    stack = read_stack(task, 1, 1)
    pixels = stack.pixels
    assert pixels.tolist() == [[[5, 9]], [[7, 8]]]
    assert pixels.dtype == np.uint16
    assert stack.planes == ()


def test_each_time_point_and_field_is_its_own(tmp_path):
    planes = {
        (f, t, c, 1): plane(100 * f + 10 * t + int(c)) for f in (1, 3) for t in (1, 2) for c in "12"
    }
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 2))
    assert read_stack(task, 3, 2).pixels.ravel().tolist() == [321, 322]
    assert read_stack(task, 1, 2).pixels.ravel().tolist() == [121, 122]


def test_a_plane_that_other_fields_have_must_be_there(tmp_path):
    whole = {(f, 1, c, z): plane(1, 2) for f in (1, 2) for c in "12" for z in (1, 2)}
    lost = {k: v for k, v in whole.items() if k != (2, 1, "2", 2)}
    with pytest.raises(
        ImageError, match=says("scan.planes_missing", well="B02", field=2, channel=2, there=1, of=2)
    ):
        read_stack(stack_task(tmp_path, lost), 2, 1)
    without = {k: v for k, v in whole.items() if k[:3] != (2, 1, "2")}
    with pytest.raises(ImageError, match=says("scan.image_missing")):
        read_stack(stack_task(tmp_path, without), 2, 1)


def test_an_image_that_the_index_names_and_the_folder_lacks_is_missing(tmp_path):
    absent = (ImageRef(Well(2, 2), 1, 1, "1", 2, "lost.tif"),)
    task = stack_task(
        tmp_path, {(1, 1, "1", 1): plane(1), (1, 1, "2", 1): plane(2)}, missing=absent
    )
    with pytest.raises(ImageError, match=says("scan.file_missing")):
        read_stack(task, 1, 1)


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (np.ones((2, 2), np.uint16), says("scan.channels_differ_in_size")),
        (np.ones((1, 2), np.int32), says("scan.type_of_pixels")),
    ],
)
def test_channels_of_one_size_and_of_camera_types(tmp_path, second, sentence):
    with pytest.raises(ImageError, match=sentence):
        read_stack(
            stack_task(
                tmp_path, {(1, 1, "1", 1): plane(1, 2).astype(second.dtype), (1, 1, "2", 1): second}
            ),
            1,
            1,
        )


def test_float_pixels_are_read_as_float32(tmp_path):
    planes = {(1, 1, c, 1): np.array([[0.25, 2]], np.float64) for c in "12"}
    pixels = read_stack(stack_task(tmp_path, planes), 1, 1).pixels
    assert (pixels.dtype, pixels[1].tolist()) == (np.float32, [[0.25, 2.0]])


def test_hours_of_exposure_are_of_stored_fields_and_frames(tmp_path, monkeypatch):
    planes = {(f, t, c, 1): plane(1) for f in (2, 5) for t in (1, 3) for c in "12"}
    task = stack_task(tmp_path, planes, more=SURVIVAL, times=(1, 3))

    class Known:
        @staticmethod
        def exposed_s(plan, image):
            return image.exposed_s

    monkeypatch.setattr(scan, "reader_named", lambda _: Known)
    assert exposed_h(task) == {(1, 1): 21, (1, 2): 23, (2, 1): 51, (2, 2): 53}


def test_a_clump_is_left_out_of_a_field_and_not_of_a_film():
    culture = drawn.culture((512, 512), seed=7, per_mm2=450)
    shot = drawn.with_sphere(culture, (150, 170)).photograph(7)
    channels = {"dna": "1", "neurite": "2"}
    fixed = parse_protocol({"name": "p", "channels": channels}, "p")
    film = parse_protocol({"name": "p", "channels": channels, **SURVIVAL}, "p")
    areas = [
        camera_field(shot.pixels, shot.roles, 0.65, protocol).valid_area
        for protocol in (fixed, film)
    ]
    assert [len(a.clumps_um2) for a in areas] == [1, 0]
    assert areas[1].share == 1
    inside = drawn.margin((512, 512), 0.15, "top")
    cut = drawn.outside_dark(shot, inside, 0)
    film_area = camera_field(cut.pixels, cut.roles, 0.65, film).valid_area
    assert film_area.outside == pytest.approx(0.15, abs=0.01)


BEST = {"acquisition": {"z_projection": "best_focus"}}


@pytest.fixture(scope="module")
def planes_in_and_out_of_focus():
    """Channel ► planes 1 to 4 of one field: "1" is sharp in plane 2, "2" in plane 4."""
    drawing = render(Culture(neurons_per_mm2=600), Optics(shape=(128, 128)), 5).field
    rng = np.random.default_rng(5)

    def seen(role, blur):
        image = (
            drawing.channel(role) if not blur else GaussianBlur(drawing.channel(role), (0, 0), blur)
        )
        return np.clip(image + rng.normal(0, 3, image.shape), 0, 65535).astype(np.uint16)

    return {
        "1": [seen("dna", blur) for blur in (3.0, 0.0, 2.0, 5.0)],
        "2": [seen("neurite", blur) for blur in (6.0, 4.0, 2.0, 0.0)],
    }


def stacked(planes):
    return {(1, 1, c, z): p for c, listed in planes.items() for z, p in enumerate(listed, 1)}


def test_best_focus_is_chosen_for_each_channel(tmp_path, planes_in_and_out_of_focus):
    planes = planes_in_and_out_of_focus
    stack = read_stack(stack_task(tmp_path, stacked(planes), more=BEST), 1, 1)
    assert stack.planes == (2, 4)
    assert (stack.pixels == np.stack([planes["1"][1], planes["2"][3]])).all()


def test_of_equally_sharp_planes_the_first_is_taken(tmp_path, planes_in_and_out_of_focus):
    sharp, blurred = (planes_in_and_out_of_focus["1"][z] for z in (1, 0))
    planes = {"1": [blurred, sharp, sharp, blurred], "2": [sharp] * 4}
    assert read_stack(stack_task(tmp_path, stacked(planes), more=BEST), 1, 1).planes == (2, 1)


def test_without_any_structure_the_middle_plane_is_taken(tmp_path):
    rng = np.random.default_rng(1)
    noise = [rng.normal(200, 5, (64, 64)).astype(np.uint16) for _ in range(4)]
    task = stack_task(tmp_path, stacked({"1": noise, "2": noise}), more=BEST)
    assert read_stack(task, 1, 1).planes == (2, 2)
