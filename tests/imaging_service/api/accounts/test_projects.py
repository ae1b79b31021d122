from __future__ import annotations


def test_a_project_is_of_the_caller_s_laboratory_and_may_be_shared(two_labs):
    added = two_labs.ask("administrator", "POST", "/projects", json={"id": "screen-2"})
    assert added.json() == {
        "id": "screen-2",
        "name": "screen-2",
        "lab_id": "alpha",
        "role": "administrator",
    }
    share = {"lab_id": "beta", "role": "reviewer"}
    shares = "/projects/screen-2/shares"
    assert two_labs.ask("administrator", "PUT", shares, json=share).json() == share
    assert two_labs.ask("administrator", "GET", shares).json() == [share]
    of_beta = {p["id"]: p["role"] for p in two_labs.ask("other lab", "GET", "/projects").json()}
    assert of_beta == {"ftd": "administrator", "screen-2": "reviewer"}
    assert two_labs.ask("administrator", "DELETE", f"{shares}/beta").status_code == 204
    assert two_labs.ask("administrator", "DELETE", f"{shares}/beta").status_code == 404
    assert len(two_labs.ask("other lab", "GET", "/projects").json()) == 1


def test_a_project_is_not_shared_with_a_laboratory_that_does_not_exist(two_labs):
    share = {"lab_id": "gamma", "role": "viewer"}
    answer = two_labs.ask("administrator", "PUT", "/projects/als/shares", json=share)
    assert answer.status_code == 404


def test_the_id_of_a_foreign_project_is_taken_but_opens_nothing(two_labs):
    answer = two_labs.ask("administrator", "POST", "/projects", json={"id": "ftd"})
    assert answer.status_code == 422
    assert two_labs.ask("administrator", "GET", "/projects/ftd/shares").status_code == 404
