"""Three sites and what they send, written once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.imaging_service.federation.drawn_sites import (
    SITES,
    registry_of,
    runs_of,
    send,
    site_screen,
)


@pytest.fixture(scope="session")
def sites(tmp_path_factory):
    """runs, summaries and public keys by site; not to be written to."""
    root = tmp_path_factory.mktemp("sites")
    runs = {site: runs_of(root, site) for site in SITES}
    sent = {
        site: send(root, site, site_screen(root, site, runs[site], registry_of(site)))
        for site in SITES
    }
    return SimpleNamespace(
        root=root,
        runs=runs,
        sent={site: folder for site, (folder, _) in sent.items()},
        keys={site: key for site, (_, key) in sent.items()},
    )
