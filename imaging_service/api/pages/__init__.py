"""Pages for people, one module per noun; each needs nothing but the id of a run or screen."""

from __future__ import annotations

from imaging_service.api.pages import (
    charts,
    index,
    over_runs,
    plates,
    responses,
    runs,
    screens,
    submit,
    wells,
)
from imaging_service.api.pages.account import audit, keys, members, projects
from imaging_service.api.pages.exchange import exports, offers

ROUTERS = (
    keys.router,
    members.router,
    projects.router,
    audit.router,
    index.router,
    runs.router,
    plates.router,
    wells.router,
    responses.router,
    over_runs.router,
    screens.router,
    exports.router,
    offers.router,
    submit.router,
    submit.asked,
    charts.router,
)
