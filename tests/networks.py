"""Small random networks for tests: one of every architecture we register."""

from __future__ import annotations

import torch
from torch import nn

from restore_cli.archs import ARCHITECTURES, architecture

SMALL_CONFIGS = {
    "resnet": {"channels": 3, "width": 8, "depth": 1, "scale": 2},
    "unet": {"channels": 3, "widths": (4, 8, 12), "blocks": 1, "body_blocks": 1},
}


def small_network(arch_id: str, seed: int = 0, **overrides: object) -> nn.Module:
    """With random weights, in eval mode, in float64 so that algebra is visible."""
    torch.manual_seed(seed)
    network = architecture(arch_id)(**{**SMALL_CONFIGS[arch_id], **overrides})
    return network.double().eval().requires_grad_(False)


def test_every_architecture_has_a_small_configuration() -> None:
    assert set(SMALL_CONFIGS) == set(ARCHITECTURES)
