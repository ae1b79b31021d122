from __future__ import annotations

from typer.testing import CliRunner

from imaging_service.cli.main import app
from tests.imaging_service.federation.drawn_sites import (
    hub_file,
    registry_of,
    runs_of,
    send,
    site_screen,
)
from tests.messages import states


def run(*arguments):
    return CliRunner().invoke(app, ["screen", *map(str, arguments)])


def test_from_keys_to_a_hub(tmp_path):
    made = run("keys", tmp_path / "keys", "--consortium")
    assert made.exit_code == 0, made.output
    public = made.output.split("Public")[1].split()[0]
    screen = site_screen(tmp_path, "north", runs_of(tmp_path, "north"), registry_of("north"))
    keys = (
        "--key",
        tmp_path / "keys" / "site.key",
        "--consortium-key",
        tmp_path / "keys" / "consortium.key",
    )
    sent = run("summary", screen, "--site", "north", "--out", tmp_path / "sent", *keys)
    assert sent.exit_code == 0, sent.output
    assert states("federation.not_matched", sent.output, line="N2")
    hub_file(tmp_path / "hub", {"north": public})
    added = run("add-summary", tmp_path / "hub", tmp_path / "sent")
    assert states("federation.added", added.output, site="north", plates=3, lines=6), added.output
    fitted = run("fit", tmp_path / "hub")
    assert fitted.exit_code == 0, fitted.output


def test_a_summary_travels_over_a_service_to_the_hub(data_folder, tmp_path, monkeypatch):
    from tests.imaging_service.conftest import Served

    served = Served(data_folder, "", tmp_path)
    monkeypatch.setattr(
        "imaging_service.client.Client",
        lambda url, project="": served.client(url, project or "default"),
    )
    screen = site_screen(tmp_path, "north", runs_of(tmp_path, "north"), registry_of("north"))
    folder, public = send(tmp_path, "north", screen)
    sent = run("send-summary", folder, "--url", "http://s")
    assert sent.exit_code == 0, sent.output
    assert states("federation.sent", sent.output)
    hub_file(tmp_path / "hub", {"north": public})
    added = run("add-summary", tmp_path / "hub", "--url", "http://s")
    assert states("federation.added", added.output, site="north", plates=3, lines=6), added.output
    kept = tmp_path / "hub" / "sites" / "north"
    assert all((kept / p.name).read_bytes() == p.read_bytes() for p in folder.iterdir())
    # The hub trusts the site's key, and not the service.
    hub_file(tmp_path / "other", {"north": "ab" * 32})
    forged = run("add-summary", tmp_path / "other", "north", "--url", "http://s")
    assert states("federation.forged", str(forged.exception))
    assert run("add-summary", tmp_path / "hub").exit_code == 2
