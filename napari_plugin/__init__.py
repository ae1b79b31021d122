"""The reviewer in napari: opens a run's folder, shows wells with their labels, and says what each
well is.
"""
