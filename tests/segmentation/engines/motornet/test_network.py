from __future__ import annotations

import torch

from segmentation.engines.motornet.network import INPUTS, MULTIPLE, PROBABILITIES, MotorNet


def test_flows_come_at_half_and_probabilities_at_full_resolution():
    network = MotorNet().eval()
    with torch.inference_mode():
        flows, logits = network(torch.zeros(2, len(INPUTS), 3 * MULTIPLE, 2 * MULTIPLE))
    assert flows.shape == (2, 4, 24, 16)
    assert logits.shape == (2, len(PROBABILITIES), 48, 32)


def test_the_network_is_small():
    assert sum(p.numel() for p in MotorNet().parameters()) * 4 <= 16 * 2**20


def test_a_pixel_is_not_changed_by_what_lies_beyond_the_halo():
    """Tiles answer for pixels HALO from their rim: what is further away must hardly matter,
    whatever the weights.
    """
    from segmentation.filters.tiling import HALO

    torch.manual_seed(0)
    network = MotorNet().eval()
    near = torch.rand(1, 3, 256, 256)
    far = near.clone()
    far[..., : 128 - HALO - 32] = torch.rand(1, 3, 256, 128 - HALO - 32)
    with torch.inference_mode():
        a, b = network(near)[1][..., 128:192], network(far)[1][..., 128:192]
    assert (a - b).abs().max() < 0.05 * a.std()
