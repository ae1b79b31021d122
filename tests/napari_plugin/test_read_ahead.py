"""What is read in the background, what is forgotten, and what `take` gives."""

from __future__ import annotations

import threading

import pytest

from imaging_service.errors import StoreError
from napari_plugin.read_ahead import ReadAhead
from tests.messages import says

FIRST, SECOND, THIRD, FOURTH = (("B02", n, 1) for n in range(1, 5))
LIMIT_S = 30


class Store:
    """Fields that are their places; reading one waits until it is let go."""

    def __init__(self):
        self.begun, self.gates, self.threads = [], {}, set()

    def hold(self, place):
        self.gates[place] = (threading.Event(), threading.Event())
        return self.gates[place]

    def read(self, place):
        self.begun.append(place)
        self.threads.add(threading.get_ident())
        if place in self.gates:
            reached, gate = self.gates[place]
            reached.set()
            assert gate.wait(LIMIT_S)
        if place[0] == "bad":
            raise StoreError(f"field {place[1]} is damaged")
        return f"field {place[1]}"


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def ahead(store):
    ahead = ReadAhead(store.read)
    yield ahead
    for _, gate in store.gates.values():
        gate.set()
    ahead.close()


def test_fields_are_read_in_their_order_once_each_and_in_one_thread(store, ahead):
    ahead.want([FIRST, SECOND])
    ahead.want([SECOND, THIRD, FIRST])
    assert [ahead.take(p) for p in (THIRD, SECOND, FIRST)] == ["field 3", "field 2", "field 1"]
    assert store.begun == [FIRST, SECOND, THIRD]
    assert len(store.threads) == 1
    assert threading.get_ident() not in store.threads


def test_a_field_that_was_not_asked_for_or_was_taken_is_not_there(store, ahead):
    assert ahead.take(FIRST) is None
    ahead.want([FIRST])
    assert ahead.take(FIRST) == "field 1"
    assert ahead.take(FIRST) is None
    assert store.begun == [FIRST]


def test_taking_waits_while_the_field_is_being_read(store, ahead):
    reached, gate = store.hold(FIRST)
    ahead.want([FIRST])
    assert reached.wait(LIMIT_S)
    assert not ahead.waiting[FIRST].done()
    release = threading.Timer(0.05, gate.set)
    release.start()
    assert ahead.take(FIRST) == "field 1"
    release.join()


def test_what_reading_raised_is_raised_when_the_field_is_taken_and_only_once(store, ahead):
    ahead.want([("bad", 7, 1), FIRST])
    with pytest.raises(StoreError, match=says("own_error.reading")):
        ahead.take(("bad", 7, 1))
    assert ahead.take(("bad", 7, 1)) is None
    assert ahead.take(FIRST) == "field 1"  # the next field is read all the same


def test_fields_that_are_not_wanted_any_more_are_forgotten_and_not_begun(store, ahead):
    reached, gate = store.hold(FIRST)
    ahead.want([FIRST, SECOND, THIRD])
    assert reached.wait(LIMIT_S)
    ahead.want([THIRD, FOURTH])
    assert list(ahead.waiting) == [THIRD, FOURTH]
    gate.set()
    assert ahead.take(FOURTH) == "field 4"
    assert store.begun == [FIRST, THIRD, FOURTH]
    assert ahead.take(FIRST) is None


def test_a_forgotten_field_is_read_anew(store, ahead):
    ahead.want([FIRST])
    ahead.waiting[FIRST].result(LIMIT_S)
    ahead.forget(FIRST)
    ahead.forget(SECOND)  # was never asked for
    ahead.want([FIRST])
    assert ahead.take(FIRST) == "field 1"
    assert store.begun == [FIRST, FIRST]


def test_closing_ends_the_reading_for_good(store, ahead):
    reached, gate = store.hold(FIRST)
    ahead.want([FIRST, SECOND])
    assert reached.wait(LIMIT_S)
    # The field that is being read ends only after the next one was given up.
    ahead.waiting[SECOND].add_done_callback(lambda _: gate.set())
    ahead.close()
    assert ahead.waiting[FIRST].result(0) == "field 1"
    assert ahead.waiting[SECOND].cancelled()
    ahead.want([THIRD])
    ahead.close()
    assert THIRD not in ahead.waiting
    assert store.begun == [FIRST]
