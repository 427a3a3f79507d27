"""Small random networks for tests: one of every architecture we register."""

from __future__ import annotations

import torch
from torch import nn

from restore_cli.archs import ARCHITECTURES, architecture

# What the three networks of Swin layers have in common.
SMALL_SWIN = {
    "img_size": 16,
    "in_chans": 3,
    "embed_dim": 12,
    "depths": (2, 2),
    "num_heads": (2, 3),
    "window_size": 4,
    "mlp_ratio": 2.0,
    "upscale": 2,
    "img_range": 1.0,
    "upsampler": "pixelshuffle",
    "resi_connection": "1conv",
    "num_feat": 8,
    "norm": "iln",
    "stdnorm": True,
}
SMALL_CONFIGS = {
    "drct": {**SMALL_SWIN, "depths": (6, 6), "gc": 4},
    "hat": {
        **SMALL_SWIN,
        "compress_ratio": 3,
        "squeeze_factor": 4,
        "conv_scale": 0.01,
        "overlap_ratio": 0.5,
    },
    "swinir": SMALL_SWIN,
    "hinet": {
        "channels": 3,
        "width": 4,
        "depth": 3,
        "relu_slope": 0.2,
        "hin_position_left": 0,
        "hin_position_right": 2,
        "norm": "hin",
        "extra_blocks": 0,
    },
    "histoformer": {
        "dim": 6,
        "num_blocks": (1, 1, 1, 2),
        "num_refinement_blocks": 1,
        "heads": (1, 2, 3, 4),
        "ffn_expansion_factor": 2.667,
        "bias": True,
        "LayerNorm_type": "WithBias",
    },
    "hi-ir": {
        "channels": 3,
        "views": 1,
        "scale": 2,
        "width": 8,
        "heads": 2,
        "stages": 1,
        "depth": 1,
        "window": 4,
        "region": 8,
        "flow": "v3",
        "attention": "dot",
        "logit_scale": True,
        "stage_conv": "conv3",
        "l3_conv": True,
        "norm": "layernorm",
    },
    "hi-ir-unet": {
        "channels": 3,
        "views": 1,
        "widths": (8, 16),
        "heads": (2, 2),
        "depth": 1,
        "l1_windows": (2, 4),
        "l2_windows": (4, 4),
        "regions": (8, 4),
        "flow": "v3",
        "attention": "dot",
        "logit_scale": True,
        "stage_conv": "conv3",
        "l3_conv": True,
        "norm": "layernorm",
    },
    "iitransformer": {
        **SMALL_SWIN,
        "norm": "layernorm",
        "stdnorm": False,
        "attn_types": (("intra", "intra"), ("inter", "inter")),
        "shift_sizes": ((0, 2), (0, 2)),
        "inter_pos": True,
    },
    "deblur-unet": {"widths": (4, 8), "blocks": 1, "body_blocks": 1, "unshuffle": 2},
    "mosaic-unet": {"widths": (4, 8, 12), "blocks": 1, "body_blocks": 1},
    "resnet": {"channels": 3, "width": 8, "depth": 1, "scale": 2},
    "unet": {"channels": 3, "widths": (4, 8, 12), "blocks": 1, "body_blocks": 1, "unshuffle": 2},
}


def small_network(arch_id: str, seed: int = 0, **overrides: object) -> nn.Module:
    """With random weights, in eval mode, in float64 so that algebra is visible."""
    torch.manual_seed(seed)
    network = architecture(arch_id)(**{**SMALL_CONFIGS[arch_id], **overrides})
    return network.double().eval().requires_grad_(False)


def test_every_architecture_has_a_small_configuration() -> None:
    assert set(SMALL_CONFIGS) == set(ARCHITECTURES)
