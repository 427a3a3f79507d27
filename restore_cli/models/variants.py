"""Published networks by name, what their papers say of them, and the same figures computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from restore_cli.archs import ARCHITECTURES, architecture
from restore_cli.errors import ModelNotFoundError
from restore_cli.wrappers.pad import SizeRule

__all__ = ["PUBLISHED", "Published", "VariantFacts", "count_macs", "measure_variant", "variants"]


@dataclass(frozen=True)
class Published:
    """What is printed about a network.

    Attributes:
        paper: short name and venue.
        size: (height, width) of the input its multiply-accumulates are stated for.
        parameters: as a plain number; None if nowhere stated.
        macs: likewise.
        rule: how the published figures count, where that is not the true count.
    """

    paper: str
    size: tuple[int, int]
    parameters: float | None = None
    macs: float | None = None
    rule: str = ""


@dataclass(frozen=True)
class VariantFacts:
    """A published network as computed here.

    Attributes:
        macs: multiply-accumulates of convolutions, matrix products and attention for one input of `size`.
        reach: 'N px', or 'global'.
        advice: how to run it on large pictures.
    """

    name: str
    arch: str
    parameters: int
    macs: int
    size: tuple[int, int]
    reach: str
    advice: str
    published: Published

    @property
    def parameters_difference(self) -> float | None:
        """Ours against the published count, as a share; None where nothing is published."""
        return self.parameters / self.published.parameters - 1 if self.published.parameters else None

    @property
    def macs_difference(self) -> float | None:
        """Likewise for the multiply-accumulates."""
        return self.macs / self.published.macs - 1 if self.published.macs else None


_HINET = "HINet, CVPRW 2021"
_HINET_RULE = "transposed convolutions counted at output positions, plus biases, 2 a norm, 1 a ReLU"
_II = "iiTransformer, BMVC 2022"
_II_RULE = "printed as MiB of float32, position tables left out; the paper gives one figure for all"
_HI_IR = "Hi-IR, arXiv 2411.18588"
_ILN = "i-LN poster and code; HAT, CVPR 2023"
_SWINIR = "SwinIR, ICCVW 2021"
_HISTOFORMER = "Histoformer, ECCV 2024"
_MIB = 2**20 / 4  # float32 parameters in a MiB

# By the names of the VARIANTS tables in `restore_cli.archs`.
PUBLISHED: dict[str, Published] = {
    "hinet-1x": Published(_HINET, (256, 256), None, 170.71e9, _HINET_RULE),
    "hinet-0.5x": Published(_HINET, (256, 256), None, 42.88e9, _HINET_RULE),
    "histoformer": Published(_HISTOFORMER, (256, 256), 16_615_100, None, "count of the official code"),
    **{
        f"iitransformer-{task}": Published(_II, (side, side), 37.49 * _MIB, None, _II_RULE)
        for task, side in (("dn", 128), ("car", 64), ("sr-x2", 64), ("sr-x3", 64), ("sr-x4", 64))
    },
    **{
        f"hi-ir-{size}-x{scale}": Published(_HI_IR, (128, 128), millions * 1e6, macs, rule)
        for size, scale, millions, macs, rule in (
            ("b", 2, 14.68, None, ""),
            ("b", 3, 14.87, None, ""),
            ("b", 4, 14.83, 287.20e9, "fvcore: pooling counted too"),
            ("l", 2, 39.07, None, "size of 10x10 layers; its Table 17 says 8x8"),
            ("l", 3, 39.26, None, "size of 10x10 layers; its Table 17 says 8x8"),
            ("l", 4, 39.22, None, "size of 10x10 layers; its Table 17 says 8x8"),
            ("l-table17", 4, 39.22, None, "8x8 as Table 17 says, width 224 to come near the size"),
        )
    },
    "hi-ir-unet": Published(_HI_IR, (256, 256), 22.33e6, 153.66e9, "widths not published, ours come near"),
    **{
        name: Published(_ILN, (64, 64), parameters, None, "count of the official code")
        for name, parameters in (
            ("hat-1-x2-iln", 4_476_095),
            ("hat-1-x4-iln", 4_623_807),
            ("hat-s-x4", 9_621_183),
            ("hat-x4", 20_772_507),
        )
    },
    **{
        name: Published(_SWINIR, size, parameters, macs, rule)
        for name, size, parameters, macs, rule in (
            ("swinir-m-x2", (64, 64), 11.75e6, None, ""),
            ("swinir-m-x3", (64, 64), 11.94e6, None, ""),
            ("swinir-m-x4", (128, 128), 11.90e6, 215.32e9, "fvcore: plus 5 a normalised element"),
        )
    },
}


def variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """(architecture id, constructor arguments) of every named network, by name."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for arch_id, place in ARCHITECTURES.items():
        named: Mapping[str, dict[str, Any]] = getattr(import_module(place.partition(":")[0]), "VARIANTS", {})
        found |= {name: (arch_id, config) for name, config in named.items()}
    return found


def measure_variants(names: list[str] | None = None) -> Iterator[VariantFacts]:
    """The facts of each network with published figures, or of those in `names`.

    Raises:
        ModelNotFoundError: an unknown name.
    """
    for name in names or PUBLISHED:
        yield measure_variant(name)


def measure_variant(name: str) -> VariantFacts:
    """Build the network called `name` without memory for its weights, and count.

    Raises:
        ModelNotFoundError: no such variant.
    """
    known = variants()
    if name not in known:
        raise ModelNotFoundError(f"{name}: no such network.", f"Known: {', '.join(sorted(known))}.")
    arch_id, config = known[name]
    published = PUBLISHED.get(name, Published("", (64, 64)))
    with torch.device("meta"):
        network = architecture(arch_id)(**config).eval()
    radius = network.receptive_radius
    if getattr(network, "whole_picture", False):
        advice = "whole picture, masked"
    elif hasattr(network, "tiling_advice"):
        advice = network.tiling_advice
    elif radius is None:
        advice = f"tiles fade over {network.overlap_px} px"
    else:
        advice = f"tiles exact with {2 * radius} px shared"
    return VariantFacts(
        name=name,
        arch=arch_id,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=count_macs(network, published.size),
        size=published.size,
        reach="global" if radius is None else f"{radius} px",
        advice=advice,
        published=published,
    )


def count_macs(network: Any, size: tuple[int, int]) -> int:  # noqa: ANN401 - one of our networks
    """True multiply-accumulates for one picture of `size`, padded as the network needs it.

    Counted on the meta device: convolutions (transposed ones at their input positions), matrix
    products and attention; element-wise work is left out.
    """
    from torch.utils.flop_counter import FlopCounterMode

    rule = SizeRule(network.size_multiple, network.minimum_size)
    picture = torch.empty(1, network.channels, *rule.padded(*size), device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(picture)
    return int(counter.get_total_flops()) // 2
