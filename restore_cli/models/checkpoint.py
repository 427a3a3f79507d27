"""Reading a weights file: tensors and nothing else, whatever the file would like to be.

Only safetensors and `torch.load(weights_only=True)`; no other unpickling, no TorchScript, ever.
"""

from __future__ import annotations

import json
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restore_cli.errors import CheckpointError

__all__ = ["WRAPPING_KEYS", "Checkpoint", "read_checkpoint", "readings"]

# Where training frameworks keep the weights, averaged ones before plain ones.
WRAPPING_KEYS = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net")
MOST_WRAPPINGS = 3
PREFIXES = ("module.", "netG.", "net.")
# What Lightning modules call the network they train, averaged ones first, and what torch.compile adds. Published
# networks have such names inside too (ESRGAN's keys all start with 'model.'), so these are only tried.
TRIED_PREFIXES = (
    *("ema.", "ema_model.", "model_ema.", "net_ema.", "net_g_ema.", "netG_ema."),
    *("net.", "model.", "module.", "_orig_mod.", "netG.", "net_g.", "network.", "generator.", "G.", "backbone."),
)
DEEPEST_PREFIX = 3
CALLING_OPCODES = ("GLOBAL", "STACK_GLOBAL", "INST")
NOT_WEIGHTS = "Download it again; the server may have answered with an error page."


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by key, and what the file says about itself (safetensors metadata, entry 'config')."""

    state_dict: dict[str, Tensor]
    config: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """The weights in `path` (.safetensors, .pth, .pt, .ckpt, .bin; judged by content, not by name).

    Raises:
        CheckpointError: missing, empty, damaged, not a weights file, or holding code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}.", "Check the path of the model file.") from error
    if not head:
        raise CheckpointError(f"{path}: an empty file, not a checkpoint.", NOT_WEIGHTS)
    if head.lstrip()[:1] == b"<" or head.lstrip()[:15].lower().startswith(b"version https:"):
        found = "a Git LFS pointer" if head.lstrip()[:1] != b"<" else "an HTML page"
        raise CheckpointError(f"{path}: {found}, not a checkpoint.", NOT_WEIGHTS)
    if head[8:9] == b"{":
        return _read_safetensors(path)
    return Checkpoint(_unwrap(_read_torch(path), path))


def readings(state_dict: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """`state_dict`, then what it may mean: the tensors under each prefix that a training framework adds.

    Tensors beside them (a loss network's, a discriminator's) are left out. None is empty, none is the same again.
    """
    yield state_dict
    tried = [state_dict]
    for _ in range(DEEPEST_PREFIX):
        tried = [inner for outer in tried for inner in _under_prefixes(outer)]
        yield from tried


def _under_prefixes(state_dict: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    for prefix in TRIED_PREFIXES:
        inner = {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}
        if inner:
            yield inner


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state_dict = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no iterator
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: a damaged safetensors file ({error}).", NOT_WEIGHTS) from error
    try:
        config = json.loads(metadata.get("config", "{}"))
    except ValueError as error:
        raise CheckpointError(f"{path}: its metadata entry 'config' is not JSON ({error}).") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: its metadata entry 'config' is not a table.")
    return Checkpoint(_unwrap(state_dict, path), config)


def _read_torch(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") or "/code/" in name for name in archive.namelist()):
                raise CheckpointError(
                    f"{path}: a TorchScript program, which would run code of its own.",
                    "Look for the same model as .safetensors or as a state dict (.pth).",
                )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles; whether it can be read is what counts
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch words every refusal alike, noise too; only this part tells that code was asked for.
        if "unsupported global" in str(error).lower() or _is_pickle_with_code(path):
            raise CheckpointError(
                f"{path}: the file holds code or objects beside tensors; refused, nothing of it was run.",
                "Ask for a .safetensors file, or a state dict saved by torch.save(model.state_dict()).",
            ) from error
        raise CheckpointError(f"{path}: not a checkpoint.", NOT_WEIGHTS) from error
    except KeyError as error:  # what torch's unpickler meets in plain text
        raise CheckpointError(f"{path}: not a checkpoint.", NOT_WEIGHTS) from error
    except (RuntimeError, EOFError, ValueError, IndexError, AttributeError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({_first_line(error)}).", NOT_WEIGHTS) from error


def _is_pickle_with_code(path: Path) -> bool:
    """Whether a bare pickle (newer ones torch does not look into) names something to call. Nothing is run."""
    with path.open("rb") as file:
        try:
            return any(opcode.name in CALLING_OPCODES for opcode, _, _ in pickletools.genops(file))
        except (ValueError, UnicodeDecodeError, OverflowError):  # no pickle at all
            return False


def _unwrap(loaded: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401 - whatever was saved
    # Bounded, because a pickle can hold a mapping that is its own content.
    for _ in range(MOST_WRAPPINGS):
        if isinstance(loaded, Mapping):
            wrapped = (loaded[key] for key in WRAPPING_KEYS if isinstance(loaded.get(key), Mapping))
            loaded = next(wrapped, loaded)
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__}, not a state dict.")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: holds no tensors.", NOT_WEIGHTS)
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key[len(prefix) :]: value for key, value in tensors.items()}
    # Stored in half precision to save space; computed with in single.
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
