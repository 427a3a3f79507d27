"""Networks: torch and `blocks.py` only. No paths, no options, no downloads.

`ARCHITECTURES` maps the id a card uses to the class, imported when it is first asked for. Beside being
a module from `(N, channels, H, W)` to `(N, C', scale*H, scale*W)`, each class has

    signature_keys                   state-dict keys that together occur in no other architecture
    config_of(state_dict, stated)    constructor arguments of the network the weights came from: read
                                     off keys and shapes, the rest from `stated` (what the file says
                                     about itself, in the authors' names), else the published default
    channels, scale                  of its pictures
    size_multiple, minimum_size      of the heights and widths it takes
    receptive_radius                 input pixels on each side that an output pixel depends on;
                                     None if that is the whole picture, or nearly
    overlap_px                       where the radius is None: an overlap of tiles that serves
    precisions                       beside fp32, those measured to be safe ('fp16', 'bf16')
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["ARCHITECTURES", "architecture"]

ARCHITECTURES = {
    "deblur-unet": "restore_cli.archs.deblur_unet:DeblurUNet",
    "drct": "restore_cli.archs.drct:DRCT",
    "hat": "restore_cli.archs.hat:HAT",
    "hinet": "restore_cli.archs.hinet:HINet",
    "histoformer": "restore_cli.archs.histoformer:Histoformer",
    "hi-ir": "restore_cli.archs.hi_ir:HiIR",
    "hi-ir-unet": "restore_cli.archs.hi_ir_unet:HiIRUNet",
    "iitransformer": "restore_cli.archs.iitransformer:IITransformer",
    "mosaic-unet": "restore_cli.archs.mosaic_unet:MosaicUNet",
    "resnet": "restore_cli.archs.resnet:ResNet",
    "swinir": "restore_cli.archs.swinir:SwinIR",
    "unet": "restore_cli.archs.unet:UNet",
}


def architecture(arch_id: str) -> type[Any]:
    """The network class registered under `arch_id`; raises KeyError for an unknown id."""
    module, _, name = ARCHITECTURES[arch_id].partition(":")
    found: type[Any] = getattr(import_module(module), name)
    return found
