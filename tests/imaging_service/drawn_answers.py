"""A finished run given answers that are known: two doses of its plate are no curve."""

from __future__ import annotations

import json

import sqlalchemy as sa

from imaging_service.database.session import database_engine

ROW = {
    "status": "ok",
    "reason": "",
    "direction": "descending",
    "ec50_molar": 3e-6,
    "ec50_low": 1e-6,
    "ec50_high": None,
    "effect": -60.0,
    "effect_low": -80.0,
    "effect_high": -40.0,
    "unit": "% of vehicle",
    "q_value": 0.004,
    "p_value": 0.002,
    "n_wells": 2,
    "n_vehicle": 2,
}
CURVE = {
    "line": "L1",
    "compound": "x",
    "phenotype": "live_density",
    "unit": "% of vehicle",
    "status": "ok",
    "reason": "",
    "ec50_molar": 3e-6,
    "wells": ["B02", "B03", "B04", "B05"],
    "dose_molar": [0.0, 0.0, 1e-6, 1e-5],
    "response": [95.0, 105.0, 80.0, 40.0],
    "fit_dose_molar": [1e-6, 3e-6, 1e-5],
    "fit_response": [85.0, 70.0, 40.0],
    "fit_low": [70.0, 55.0, 25.0],
    "fit_high": [100.0, 85.0, 55.0],
}


def give_a_curve(served) -> None:
    """Line L1 under compound x gets a curve of live_density; every other row stays refused."""
    engine = database_engine(served.settings.url)
    chosen = "run_id = :run AND kind = 'responses' AND line = 'L1' AND phenotype = 'live_density'"
    with engine.begin() as connection:
        where = {"run": served.run}
        content = connection.execute(
            sa.text(f"SELECT content FROM table_row WHERE {chosen}"), where
        ).scalar_one()
        changed = json.dumps(json.loads(content) | ROW)
        connection.execute(
            sa.text(f"UPDATE table_row SET content = :content, status = 'ok' WHERE {chosen}"),
            {**where, "content": changed},
        )
    path = served.folder / "curves.json"
    kept = [
        c
        for c in json.loads(path.read_text(encoding="utf-8"))
        if (c["line"], c["phenotype"]) != ("L1", "live_density")
    ]
    path.write_text(json.dumps([CURVE, *kept]), encoding="utf-8")
