"""OME-TIFFs of several pages: which page is which channel, plane and time point.

OME-XML says it: the sizes of the axes and their order, and for files that deviate one element per
page. A file whose words do not account for every page is not guessed at; it fails its well.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element  # the type only; defusedxml parses

from plate_maps.wells import whole_number

# More planes than any microscope puts into a file of one field.
_MOST_PAGES = 100_000

Page = tuple[str, int, int]


def pages_of(metadata: Element, name: str) -> tuple[Page, ...]:
    """(channel, z, time point) of every page, z and time counted from 1; empty where unsaid.

    Channels without a name have their number.
    """
    images = metadata.findall(".//{*}Image")
    pixels = images[0].find("{*}Pixels") if len(images) == 1 else None
    if pixels is None:
        return ()
    try:
        return _pages(pixels, name)
    except ValueError:
        return ()


def _pages(pixels: Element, name: str) -> tuple[Page, ...]:
    """Raises ValueError where a number is none."""
    pages = {page: place for file, page, place in placed_planes(pixels) if file in ("", name)}
    whole = set(pages) == set(range(len(pages))) and len(set(pages.values())) == len(pages)
    return tuple(pages[n] for n in range(len(pages))) if whole else ()


def placed_planes(pixels: Element) -> list[tuple[str, int, Page]]:
    """(file, page from 0, plane) of every plane that a Pixels element accounts for.

    The file is empty where the element names none: then it is the one that holds the words. Raises
    ValueError where a number is none.
    """
    sizes = {axis: whole_number(pixels.get(f"Size{axis}", "1")) for axis in "CZT"}
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in sizes]
    total = sizes["C"] * sizes["Z"] * sizes["T"]
    if sorted(order) != sorted(sizes) or not 0 < total <= _MOST_PAGES:
        return []
    channels = [c.get("Name") or str(n) for n, c in enumerate(pixels.findall("{*}Channel"), 1)]
    if len(set(channels)) != sizes["C"]:
        channels = [str(n + 1) for n in range(sizes["C"])]

    def place(number: int) -> Page:
        index = {}
        for axis in order:
            number, index[axis] = divmod(number, sizes[axis])
        return channels[index["C"]], index["Z"] + 1, index["T"] + 1

    parts = pixels.findall("{*}TiffData")
    if not parts:
        return [("", n, place(n)) for n in range(total)]
    planes: dict[tuple[str, int], Page] = {}
    for part in parts:
        files = [u.get("FileName", "") for u in part.iterfind("{*}UUID")]
        first, step = 0, 1
        for axis in order:
            first += whole_number(part.get(f"First{axis}", "0")) * step
            step *= sizes[axis]
        several = total if part.get("IFD") is None else 1
        count = min(whole_number(part.get("PlaneCount", str(several))), total - first)
        page = whole_number(part.get("IFD", "0"))
        file = files[0] if files else ""
        planes |= {(file, page + n): place(first + n) for n in range(count)}
    return [(file, page, plane) for (file, page), plane in planes.items()]
