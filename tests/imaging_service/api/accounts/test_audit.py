from __future__ import annotations

import csv
import io
import json


def test_the_log_is_exported_as_lines_and_as_csv_and_goes_on_where_one_stopped(two_labs):
    two_labs.ask("administrator", "POST", "/projects", json={"id": "p-2"})
    two_labs.ask("other lab", "POST", "/projects", json={"id": "p-3"})
    lines = two_labs.ask("administrator", "GET", "/audit")
    entries = [json.loads(line) for line in lines.text.splitlines()]
    assert [(e["actor"], e["object"], e["outcome"]) for e in entries] == [
        ("administrator", "", "begun"),
        ("administrator", "p-2", "201"),
    ]
    assert entries[0]["request"] == entries[1]["request"] != ""
    after = two_labs.ask("administrator", "GET", f"/audit?after={entries[0]['id']}").text
    assert after.splitlines() == lines.text.splitlines()[1:]
    sheet = two_labs.ask("service", "GET", "/audit?format=csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [row["object"] for row in rows] == ["", "p-2", "", "p-3"]


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(two_labs):
    two_labs.ask("service", "POST", "/members?lab=core", json={"name": "=1+1"})
    with two_labs.session() as session:
        from imaging_service.access.audit import note

        note(session, "=1+1", "a", lab="core")
        session.commit()
    text = two_labs.ask("service", "GET", "/audit?format=csv").text
    assert ",'=1+1," in text


def test_an_empty_log_has_its_header(two_labs):
    sheet = two_labs.ask("administrator", "GET", "/audit?format=csv").text
    assert sheet.splitlines() == [
        "id,time,actor,key_id,lab_id,project_id,action,object,outcome,request"
    ]
