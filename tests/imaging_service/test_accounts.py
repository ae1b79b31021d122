from __future__ import annotations

import pytest
from pydantic import ValidationError

from imaging_service.access.roles import Role
from imaging_service.accounts import (
    MadeKey,
    MemberChange,
    NewKey,
    NewLab,
    NewMember,
    RoleName,
    Share,
)


def test_the_names_of_roles_are_those_of_the_roles():
    assert RoleName.__args__ == tuple(role.value for role in Role)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (NewMember, {"name": "ann", "everywhere": True}),
        (NewMember, {"name": ""}),
        (NewMember, {"name": "a\x00"}),
        (MemberChange, {"role": "owner"}),
        (NewKey, {"name": "x", "days": 0}),
        (NewKey, {"name": "x", "digest": "y"}),
        (NewLab, {"id": 41 * "x"}),
        (Share, {"lab_id": "beta", "role": ""}),
    ],
)
def test_what_no_request_may_ask_for_is_refused(kind, content):
    with pytest.raises(ValidationError):
        kind.model_validate(content)


def test_only_a_new_key_has_its_secret():
    assert "key" in MadeKey.model_fields
    assert "digest" not in MadeKey.model_fields
