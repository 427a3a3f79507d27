"""Local statistics: a network's means over the whole picture become means over a window of training size.

Source: Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV
2022 (TLC, the test-time local converter). A network trained on 256-pixel patches has learned what
means and deviations of 256 x 256 pixels look like; those of a whole photograph are drawn from
another distribution. So each pixel is given the statistics of the window around it.

What is exact: the window has the training size at every pixel (near the border it does not shrink
but stays inside, off centre), it is moved pixel by pixel, and a picture no larger than the window
is computed by the very same operations as by the plain network. What the authors' code does
otherwise: its optional fast form looks at every few pixels of the window only and repeats each
result over a few pixels; it sums in the pictures' own precision, where the variance of a flat
region, a small difference of large sums, can come out negative (ours are sums in float64, float32
on MPS which has no more); and the size of a layer's window is taken from the first picture it is
run on and kept on the layer, where ours is settled once, here.

What remains: only `InstanceNorm2d` without running statistics and `AdaptiveAvgPool2d(1)` are found,
not means written out in a `forward`, and the pooled result must be something that broadcasts over
pixels (as in NAFNet and HAT), not be flattened into a linear layer.

Cost: running sums, so it grows with the picture and not with the window. An eighth more time for
HINet 0.5x on a CPU; and memory for a few float64 copies of `CHANNELS_AT_ONCE` channels of a layer.

With it nothing depends on the whole picture any more and the receptive field is bounded in
principle. But every layer adds a window to it, and the window's place depends on the border, so the
bound is far beyond any tile: the network still counts as global, and tiling it is not exact.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from restore_cli.errors import UsageError

__all__ = ["LocalInstanceNorm", "LocalMean", "Window", "with_local_statistics"]

Window = tuple[int, int]  # height and width, in pixels of the layer
CHANNELS_AT_ONCE = 16


def with_local_statistics(
    network: nn.Module, window_px: int, *, channels: int | None = None, **conditioning: Tensor
) -> nn.Module:
    """A copy of `network` whose instance norms and global pools look at a window; the same state-dict keys.

    Args:
        network: from `(N, C, H, W)` to `(N, C', sH, sW)`; is not changed.
        window_px: side of the window in pixels of the picture, a size the network runs at: that of its
            training patches, or somewhat more (the authors take 1.5 times it for NAFNet).
        channels: C; None takes the network's attribute of that name, or 3.
        **conditioning: arguments the network needs beside the picture.

    Raises:
        UsageError: the network has no such layer, or does not run at the size of the window.
    """
    # Inside a container, so that a network that is itself such a layer can be replaced.
    container = nn.Sequential(copy.deepcopy(network))
    if channels is None:
        channels = int(getattr(network, "channels", 3))
    windows = _windows(container[0], window_px, channels, conditioning)
    if not windows:
        raise UsageError(
            f"{type(network).__name__} has no statistics of the whole picture that could be made local.",
            "Run it without local statistics.",
        )
    replacements = {layer: _localized(layer, window) for layer, window in windows.items()}
    # A layer that is shared has several names.
    for name, layer in list(container.named_modules(remove_duplicate=False)):
        if layer in replacements:
            parent, _, attribute = name.rpartition(".")
            setattr(container.get_submodule(parent), attribute, replacements[layer])
    return container[0]


class LocalMean(nn.Module):
    """`AdaptiveAvgPool2d(1)` of the window around each pixel.

    `(N, C, H, W)` -> the same shape; (N, C, 1, 1) where the window covers the picture.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def forward(self, features: Tensor) -> Tensor:
        if _covers(self.window, features):
            return functional.adaptive_avg_pool2d(features, 1)
        parts = features.split(CHANNELS_AT_ONCE, dim=1)
        return torch.cat([_box_mean(_exact(part), self.window).to(features.dtype) for part in parts], dim=1)


class LocalInstanceNorm(nn.Module):
    """`norm` with the mean and the population variance of the window around each pixel; shape is kept."""

    def __init__(self, norm: nn.InstanceNorm2d, window: Window) -> None:
        super().__init__()
        self.window = window
        self.eps = norm.eps
        self.weight = norm.weight  # None where it is not affine, and so the bias
        self.bias = norm.bias

    def forward(self, features: Tensor) -> Tensor:
        if _covers(self.window, features):
            return functional.instance_norm(features, weight=self.weight, bias=self.bias, eps=self.eps)
        parts = features.split(CHANNELS_AT_ONCE, dim=1)
        normalized = torch.cat([self._normalized(part) for part in parts], dim=1)
        if self.weight is not None:
            normalized = normalized * self.weight[:, None, None]
        if self.bias is not None:
            normalized = normalized + self.bias[:, None, None]
        return normalized.to(features.dtype)

    def _normalized(self, features: Tensor) -> Tensor:
        exact = _exact(features)
        # Around zero the two terms of the variance are smaller, and so is what their difference loses.
        exact = exact - exact.mean(dim=(-2, -1), keepdim=True)
        mean = _box_mean(exact, self.window)
        variance = (_box_mean(exact.square(), self.window) - mean.square()).clamp(min=0)
        return ((exact - mean) * (variance + self.eps).rsqrt()).to(torch.promote_types(features.dtype, torch.float32))


def _localized(layer: nn.Module, window: Window) -> nn.Module:
    return LocalInstanceNorm(layer, window) if isinstance(layer, nn.InstanceNorm2d) else LocalMean(window)


def _windows(
    network: nn.Module, window_px: int, channels: int, conditioning: dict[str, Tensor]
) -> dict[nn.Module, Window]:
    """For each layer to be replaced the size its features have when the picture is a window."""
    windows: dict[nn.Module, Window] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[-2:]
        if windows.setdefault(layer, (height, width)) != (height, width):
            raise UsageError("A layer that works at several resolutions cannot be given one window.")

    hooks = [layer.register_forward_pre_hook(note) for layer in network.modules() if _is_global(layer)]
    like = next(network.parameters(), torch.empty(()))
    # Shapes are wanted and not values: nothing is computed.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        picture = torch.empty(1, channels, window_px, window_px, dtype=like.dtype, device=like.device)
        try:
            network(picture, **conditioning)
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"A window of {window_px} pixels is no size that the network runs at ({str(error).splitlines()[0]}).",
                "Take the side of the patches it was trained on.",
            ) from error
    for hook in hooks:
        hook.remove()
    return windows


def _is_global(layer: nn.Module) -> bool:
    if isinstance(layer, nn.InstanceNorm2d):
        return not layer.track_running_stats
    return isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1))


def _covers(window: Window, features: Tensor) -> bool:
    height, width = features.shape[-2:]
    return window[0] >= height and window[1] >= width


def _exact(features: Tensor) -> Tensor:
    return features.to(torch.float32 if features.device.type == "mps" else torch.float64)


def _box_mean(values: Tensor, window: Window) -> Tensor:
    """Means over the window around each pixel; an axis that the window covers keeps one place, to broadcast."""
    for axis, size in ((-2, window[0]), (-1, window[1])):
        length = values.shape[axis]
        if size >= length:
            values = values.mean(dim=axis, keepdim=True)
            continue
        sums = values.cumsum(dim=axis)
        sums = torch.cat([torch.zeros_like(sums.narrow(axis, 0, 1)), sums], dim=axis)
        positions = length - size + 1
        means = (sums.narrow(axis, size, positions) - sums.narrow(axis, 0, positions)) / size
        # The window that is centred on the pixel (of an even one, the left of its two middles), moved inside.
        start = torch.arange(length, device=values.device) - (size - 1) // 2
        values = means.index_select(axis, start.clamp(0, positions - 1))
    return values
