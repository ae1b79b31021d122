from __future__ import annotations

import pytest

from imaging_service.accounts import NewKey
from imaging_service.api.forms import filled, read_form
from imaging_service.errors import AccessRefused, TooLarge
from tests.messages import says


def test_fields_are_read_by_name_with_every_box_that_is_ticked():
    form = read_form(b"name=+ALS+%C3%9F+&run=a&run=b&empty=")
    assert (form.one("name"), form.all("run")) == ("ALS ß", ["a", "b"])
    assert (form.one("empty"), form.one("none"), form.all("none")) == ("", "", [])


@pytest.mark.parametrize("body", [b"name=a%00b", b"\xff\xfe", b"&&==", b""])
def test_what_is_not_text_is_not_a_value(body):
    assert read_form(body).one("name") == ""


@pytest.mark.parametrize("body", [b"a" * 200_001, b"a=1&" * 2001])
def test_a_form_is_no_larger_than_the_pages_send(body):
    with pytest.raises(TooLarge):
        read_form(body)


def test_a_message_is_filled_from_the_texts_of_a_form():
    assert filled(NewKey, name="laptop", days="30").days == 30
    for wrong in ({"days": "many"}, {"days": "0"}, {"role": "king"}):
        with pytest.raises(AccessRefused, match=says("form.field", field=next(iter(wrong)))):
            filled(NewKey, **({"name": "laptop"} | wrong))
