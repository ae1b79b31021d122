from __future__ import annotations

import threading

import pytest

from segmentation.filters.pipeline import in_order
from tests.messages import says


def test_answers_come_in_order_whatever_took_longer():
    later = threading.Event()

    def slow_first(n):
        if n:
            later.set()
        else:
            assert later.wait(60)
        return n * n

    assert list(in_order(slow_first, range(10), workers=4)) == [n * n for n in range(10)]


def test_no_more_is_taken_than_is_being_worked_on():
    taken = []
    answers = in_order(lambda n: n, (taken.append(n) or n for n in range(100)), workers=2)
    next(answers)
    assert len(taken) == 4


def test_the_function_runs_beside_the_one_who_asks():
    here = threading.get_ident()
    assert all(other != here for other in in_order(lambda _: threading.get_ident(), range(3)))


def test_an_error_comes_where_its_answer_would_have_come():
    def fails_at_two(n):
        if n == 2:
            raise ValueError("two")
        return n

    seen = []
    with pytest.raises(ValueError, match=says("own_error.pipeline")):
        seen.extend(in_order(fails_at_two, range(5)))
    answers = in_order(fails_at_two, range(5))
    assert [next(answers), next(answers)] == [0, 1]
