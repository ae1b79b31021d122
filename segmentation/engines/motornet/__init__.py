"""`motornet`: our own compact network for motor-neuron fields, shipped with its weights.

`network` is the architecture, `fields` brings images to the scale and range that it knows, `engine`
labels a field, `samples` and `train` make the weights (`python -m
segmentation.engines.motornet.train --help`), `weights/` holds them with their card.
"""
