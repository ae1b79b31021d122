"""The architecture: a U-Net on 2 × 2 pixel blocks.

Flows are given at half, probabilities at full resolution. Folding 2 × 2 pixels into channels (Shi
et al., CVPR 2016) lets all convolutions run on a quarter of the pixels; the last layer unfolds
again, so that thin neurites and puncta keep the camera's resolution. Flows are smooth by
construction and stay at half resolution, where following them costs a quarter too. Nuclei and somas
are Cellpose's representation (Stringer et al., Nat. Methods 18:100, 2021): a unit vector towards
the centre and the logit of being inside.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

PIXEL_SIZE_UM = 0.325
INPUTS = ("dna", "neurite", "aggregate")
# Logits at full resolution, in the order of the output's channels.
PROBABILITIES = ("nuclei", "somas", "neurites", "puncta")
FLOWS = ("nuclei", "somas")
WIDTHS = (32, 80, 160, 256)
# Fields are padded to a multiple of this many pixels: 2 (folding) × 2³ (three halvings).
MULTIPLE = 16


def _convolution(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Block(nn.Module):
    """Two 3 × 3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs)
        self.second = _convolution(outputs, outputs)
        self.shortcut = _convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, Y, X) ► (N, outputs, Y, X)."""
        y = self.second(torch.relu(self.first(x)))
        return torch.relu(y + self.shortcut(x))


class MotorNet(nn.Module):
    """(N, 3, Y, X) images ► flows (N, 4, Y/2, X/2) and logits (N, 4, Y, X).

    Y and X are multiples of 16. Flow channels are (y, x) of nuclei, then of somas, in
    half-resolution pixels.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.unfold = nn.PixelShuffle(2)
        before = (4 * len(INPUTS), *widths[:-1])
        self.down = nn.ModuleList(Block(i, o) for i, o in zip(before, widths, strict=True))
        self.narrow = nn.ModuleList(
            _convolution(widths[i + 1], widths[i], 1) for i in range(len(widths) - 1)
        )
        self.up = nn.ModuleList(Block(widths[i], widths[i]) for i in range(len(widths) - 1))
        self.head = nn.Conv2d(widths[0], 2 * len(FLOWS) + 4 * len(PROBABILITIES), 1)

    @classmethod
    def like(cls, state: Mapping[str, Tensor]) -> MotorNet:
        """An untrained network as wide as these weights.

        Raises KeyError if they are not motornet's.
        """
        return cls(
            tuple(
                int(state[f"down.{level}.second.0.weight"].shape[0]) for level in range(len(WIDTHS))
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        x = self.fold(images)
        skips = []
        for level, block in enumerate(self.down):
            if level:
                x = nn.functional.max_pool2d(x, 2)
            x = block(x)
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = nn.functional.interpolate(self.narrow[level](x), scale_factor=2, mode="nearest")
            x = self.up[level](x + skips[level])
        out = self.head(x)
        flows = 2 * len(FLOWS)
        return out[:, :flows], self.unfold(out[:, flows:])
