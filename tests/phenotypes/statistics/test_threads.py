"""Threads of linear algebra."""

from __future__ import annotations

import polars as pl
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import phenotypes.plates.responses as responses
import phenotypes.screens.fit as fit
from phenotypes.screens.parts import ScreenParts
from phenotypes.statistics.threads import one_thread


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def several():
    """What the libraries compute with: three threads each, but of those that have one only."""
    with threadpool_limits(limits=3, user_api="blas"):
        assert 3 in threads()
        yield threads()


def test_it_is_one_in_the_block_and_as_before_after_it(several):
    with one_thread():
        assert threads() == {1}
    assert threads() == several
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert threads() == several


class Reached(Exception):
    """The first thing that a door does."""


@pytest.mark.parametrize(
    ("module", "name", "door"),
    [
        (
            responses,
            "with_edge",
            lambda: responses.respond(pl.DataFrame(), [], pixel_size_um=1.0),
        ),
        (
            fit,
            "line_effects",
            lambda: fit.fit_parts(ScreenParts(*[pl.DataFrame()] * 5), pl.DataFrame()),
        ),
    ],
    ids=["a plate", "a screen"],
)
def test_a_plate_and_a_screen_are_fitted_by_one(several, monkeypatch, module, name, door):
    seen = []

    def reached(*_, **__):
        seen.append(threads())
        raise Reached

    monkeypatch.setattr(module, name, reached)
    with pytest.raises(Reached):
        door()
    assert seen == [{1}]
    assert threads() == several
