from __future__ import annotations

import json


def test_what_repositories_ask_for_stands_in_the_sentences(released):
    forms = json.loads((released.bundle / "forms" / "rembi.json").read_text())
    parameters = forms["ImageAcquisition"]["image_acquisition_parameters"]
    for part in ("FBbi:00000253", "20×", "1.0", "0.325 µm", "384 CellCarrier Ultra", "Revvity"):
        assert part in parameters
    assert "RRID:AB_2313773" in forms["Specimen"]["sample_preparation"]
    assert "motornet" in forms["ImageAnalysis"]["analysis_overview"]
