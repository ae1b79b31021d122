from __future__ import annotations

from types import SimpleNamespace

from imaging_service.review.run import plate_contrast


def test_the_plate_s_contrast_is_the_median_over_spread_wells():
    asked = []

    class Run:
        @staticmethod
        def read_pixels(well, number):
            asked.append((well, number))
            return SimpleNamespace(contrast=((len(asked), 10 * len(asked)), (0, 1)))

    assert plate_contrast(Run, [f"A{i:02d}" for i in range(1, 12)]) == ((3, 30), (0, 1))
    assert asked == [("A01", 1), ("A03", 1), ("A06", 1), ("A08", 1), ("A11", 1)]
