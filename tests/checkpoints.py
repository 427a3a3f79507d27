"""For every card of the catalogue a random checkpoint of the published shape, and the card that goes with it.

The configurations are those of the authors' option files. Where a card states the exact size of its file, a test
compares it with that of the shape.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import tomli_w
import torch
from torch import Tensor, nn

from restore_cli.archs.hat import HAT
from restore_cli.archs.hat import VARIANTS as HAT_VARIANTS
from restore_cli.archs.swinir import VARIANTS as SWINIR_VARIANTS
from restore_cli.archs.swinir import SwinIR
from restore_cli.models.card import Card
from restore_cli.models.catalog import card_path
from restore_cli.tables import read_toml
from tests import published
from tests.catalogue import Catalogue

Recipe = tuple[str, tuple[Any, ...]]
"""Name of a maker of `MAKERS` and its arguments: what two cards of one architecture and shape have in common."""

DAT = {"embed_dim": 180, "depth": [6] * 6, "num_heads": [6] * 6}
DAT_SIZES = {
    "dat-s": {"split_size": [8, 16], "expansion_factor": 2.0},
    "dat-2": {"split_size": [8, 32], "expansion_factor": 2.0},
    "dat": {"split_size": [8, 32], "expansion_factor": 4.0},
}
NAFNET_SIDD = {"middle_blk_num": 12, "enc_blk_nums": [2, 2, 4, 8], "dec_blk_nums": [2, 2, 2, 2]}
# Configuration of the task, in github.com/ofsoundof/GRL-Image-Restoration.
GRL_DEMOSAIC = {
    **{"img_size": 64, "embed_dim": 128, "depths": [4] * 4, "num_heads_window": [2] * 4, "num_heads_stripe": [2] * 4},
    **{"window_size": 8, "stripe_size": [32, 32], "stripe_shift": True, "mlp_ratio": 2, "anchor_window_down_factor": 4},
}


def recipe_of(card: Card) -> Recipe:
    """What the network of `card` is built by; raises KeyError for a card nobody has told of here."""
    name = card.id
    match card.network:
        case "DAT":
            size = "dat-2" if name.startswith("ultrasharp") else name.partition("-sr-")[0]
            return "dat", (size, card.scale)
        case "DRUNet" | "FBCNN":
            return card.network.lower(), (card.channels,)
        case "ESRGAN":
            return "esrgan", (card.scale,)
        case "HAT":
            size = name.partition("-sr-")[0]
            return "hat", (f"{size if size in ('hat-s', 'hat-l') else 'hat'}-x{card.scale}",)
        case "NAFNet":
            return "nafnet", (32 if name.endswith("32") else 64, "sidd" in name)
        case "OmniSR":
            return "omnisr", (card.scale,)
        case "Restormer":
            return "restormer", (card.channels, card.task != "denoise")
        case "SwinIR":
            # The side of the training pictures is in the file too: as masks for windows that are shifted.
            side_px = 64 if card.id.startswith("swinir-m-sr") else None
            return "swinir", (_swinir_variant(card), card.scale, side_px)
        case "GRL" | "Histoformer" | "KBNet" | "PLKSR" | "SCUNet":
            return card.network.lower(), ()
    raise KeyError(f"{name}: a card of {card.network}, of which no published shape is known here")


def state_of(recipe: Recipe) -> dict[str, Tensor]:
    """Its random weights by the authors' names."""
    maker, arguments = recipe
    return MAKERS[maker](*arguments)


def content_of(card: Card, state: Mapping[str, Tensor]) -> bytes:
    """The file: of the kind and, as far as that is known, wrapped as the card's own."""
    buffer = io.BytesIO()
    if card.file.name.endswith(".safetensors"):
        from safetensors.torch import save

        return save({key: value.contiguous().clone() for key, value in state.items()})
    if card.file.name.endswith(".ckpt"):  # PyTorch Lightning's
        torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}, "epoch": 1}, buffer)
    elif card.network in ("DRUNet", "FBCNN", "SCUNet"):
        torch.save(state, buffer)
    else:
        torch.save({"params_ema" if card.network in ("ESRGAN", "HAT") else "params": state}, buffer)
    return buffer.getvalue()


def serve(catalogue: Catalogue, card: Card, content: bytes) -> None:
    """Put `content` at every place `card` names, on the loopback, and write that card with this content's sha256."""
    hub = catalogue.hub
    table = read_toml(card_path(card.id))
    table["file"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    table["file"].pop("about_bytes", None)
    if card.hub is not None:
        kind = "" if card.hub.repo_type == "model" else f"{card.hub.repo_type}s/"
        hub.files[f"{kind}{card.hub.repo_id}/{card.hub.filename}"] = content
        hub.revisions[card.id] = hub.revisions.get(card.hub.revision, card.hub.revision)
    for mirror in table.get("mirrors", ()):
        if not mirror["address"].startswith("hf:"):
            name = urlsplit(mirror["address"]).path.lstrip("/")
            hub.web[name] = content
            mirror["address"] = f"{hub.url}/web/{name}"
    (catalogue.folder / f"{card.id}.toml").write_text(tomli_w.dumps(table), encoding="utf-8")


def _state(kind: type[nn.Module], **config: Any) -> dict[str, Tensor]:
    """Random weights, and what the network keeps besides (positions, masks) as it is."""
    network = kind(**config)
    kept = dict(network.named_buffers())
    state = network.state_dict()
    weights = published.random_state({key: tuple(value.shape) for key, value in state.items() if key not in kept})
    return {key: weights.get(key, value) for key, value in state.items()}


def _swinir_variant(card: Card) -> str:
    if card.task == "sr":
        return f"swinir-{'s' if card.id.startswith('swinir-s') else 'm'}-x"
    return "swinir-m-denoise" if card.task == "denoise" else "swinir-m-jpeg"


def _swinir(variant: str, scale: int, side_px: int | None) -> dict[str, Tensor]:
    config = {**SWINIR_VARIANTS[f"{variant}{min(scale, 4)}" if scale > 1 else variant], "upscale": scale}
    return _state(SwinIR, **config | ({} if side_px is None else {"img_size": side_px}))


def _dat(size: str, scale: int) -> dict[str, Tensor]:
    from spandrel.architectures.DAT import DAT as Network  # noqa: N811 - our table has the name

    return _state(Network, **DAT, **DAT_SIZES[size], upscale=scale)


def _nafnet(width: int, sidd: bool) -> dict[str, Tensor]:
    from spandrel.architectures.NAFNet import NAFNet

    if not sidd:
        return published.nafnet_gopro(width)
    return published.random_state(published.shapes_of(NAFNet, width=width, **NAFNET_SIDD))


def _esrgan(scale: int) -> dict[str, Tensor]:
    """RRDBNet by the names of Real-ESRGAN's training: x2 folds the picture into channels first."""
    features, growth = 64, 32
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, channels: int, made: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (made, channels, 3, 3), (made,)

    convolution("conv_first", 12 if scale == 2 else 3, features)
    for block in range(23):
        for dense in (1, 2, 3):
            for layer in range(5):
                made = growth if layer < 4 else features
                convolution(f"body.{block}.rdb{dense}.conv{layer + 1}", features + layer * growth, made)
    for name in ("conv_body", "conv_up1", "conv_up2", *(["conv_up3"] if scale == 8 else []), "conv_hr"):
        convolution(name, features, features)
    convolution("conv_last", features, 3)
    return published.random_state(shapes)


def _omnisr(scale: int) -> dict[str, Tensor]:
    from spandrel.architectures.OmniSR import OmniSR

    state = _state(OmniSR, num_feat=64, block_num=1, pe=True, window_size=8, res_num=5, up_scale=scale, bias=True)
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


def _grl() -> dict[str, Tensor]:
    from spandrel.architectures.GRL import GRL

    return _state(GRL, **GRL_DEMOSAIC)


def _kbnet() -> dict[str, Tensor]:
    from spandrel.architectures.KBNet import KBNet_l

    return _state(KBNet_l)


def _plksr() -> dict[str, Tensor]:
    from spandrel.architectures.PLKSR import RealPLKSR

    return _state(RealPLKSR, upscaling_factor=1)


def _scunet() -> dict[str, Tensor]:
    from spandrel.architectures.SCUNet import SCUNet

    return _state(SCUNet)


MAKERS: dict[str, Callable[..., dict[str, Tensor]]] = {
    "dat": _dat,
    "drunet": published.drunet,
    "esrgan": _esrgan,
    "fbcnn": published.fbcnn,
    "grl": _grl,
    "hat": lambda variant: _state(HAT, **HAT_VARIANTS[variant]),
    "histoformer": published.histoformer,
    "kbnet": _kbnet,
    "nafnet": _nafnet,
    "omnisr": _omnisr,
    "plksr": _plksr,
    "restormer": published.restormer,
    "scunet": _scunet,
    "swinir": _swinir,
}
