"""The kernel of a shaken camera, found from the blurred picture alone, and a picture with it undone.

Shake smears every point along the same path, so one kernel tells it all. It is found by turns: the blurred picture,
sharpened with the kernel so far, is simplified until little but its strong edges is left (few pixels with any slope:
Xu, Zheng and Jia, "Unnatural L0 Sparse Representation for Natural Image Deblurring", CVPR 2013); then the kernel is
fitted that makes those edges into the blurred ones by least squares (Cho and Lee, "Fast Motion Deblurring", SIGGRAPH
Asia 2009). From small pictures, where the blur is a few pixels wide, to the whole. Nothing in here is learned.

The kernel is looked for in brightness as it is displayed, (N, H, W) in [0, 1], in single or double precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

__all__ = ["find_kernel", "undo_kernel"]

SIMPLICITY = 4e-3  # price of a pixel with a slope, to begin with; it falls by EASING each turn
EASING = 1.1
LEAST_SIMPLICITY = 1e-4
FIRMEST = 20.0  # how strictly, at last, the simplified picture keeps to its slopes
TURNS = 5  # at each size of the picture
LAST_TURNS = 3  # at its full size, where they cost most
STEP = 2**0.5  # from one size to the next
EDGE_SHARE = 0.2  # of the pixels, those with the steepest slopes, tell the kernel
RIDGE = 0.1  # of the fit, in units of the edges' energy
NO_SLOPE = 1e-3  # a quarter of a step of 8 bits: what is flatter tells nothing
FAINT = 0.15  # of a kernel's peak: what is weaker is noise
LEAST_PEAK = 1e-3  # of a kernel that tells anything
BORDER_PX = 16


# One operation for compilers and exporters, which would unroll its turns into ten thousand.
@torch.library.custom_op("restore::find_kernel", mutates_args=())
def find_kernel(brightness: torch.Tensor, size_px: int) -> torch.Tensor:
    """The kernel that blurred each picture: (N, size_px, size_px), its sum 1, its centre of gravity in the middle.

    Args:
        brightness: (N, H, W); 64 pixels at least on each side.
        size_px: odd; about the longest extent to look for. Much more than the true one lets noise in.
    """
    simplicity = SIMPLICITY
    kernel = brightness.new_full((len(brightness), 3, 3), 1 / 9)
    for side in _sides(size_px):
        border = max(side, 6)
        scene = _periodic(_reduced(brightness, side / size_px), border)
        slopes = _slopes(scene)
        if kernel.shape[-1] != side:
            larger = functional.interpolate(kernel[:, None], (side, side), mode="bicubic")[:, 0].relu()
            kernel = larger / larger.sum(dim=(1, 2), keepdim=True)
        for _ in range(LAST_TURNS if side == size_px else TURNS):
            edges = _steepest(_slopes(_simplified(scene, kernel, simplicity)))
            kernel = _without_noise(_fitted(edges, slopes, side, border))
            simplicity = max(simplicity / EASING, LEAST_SIMPLICITY)
        kernel = _centred(kernel)
    return kernel


@find_kernel.register_fake
def _kernel_like(brightness: torch.Tensor, size_px: int) -> torch.Tensor:
    return brightness.new_empty((len(brightness), size_px, size_px))


def undo_kernel(light: torch.Tensor, kernel: torch.Tensor, noise_to_signal: Sequence[float]) -> list[torch.Tensor]:
    """`light` (N, C, H, W), values proportional to light, as it was before `kernel` (N, size, size) blurred it.

    By Wiener's inverse filter, for pictures whose power falls with the square of the frequency.

    Args:
        light: blurred; values proportional to light.
        kernel: of each picture, its sum 1.
        noise_to_signal: Wiener's term; the larger, the less is amplified. For each of these there is one result.
    """
    extended = functional.pad(light, (BORDER_PX,) * 4, mode="replicate")
    height, width = extended.shape[-2:]
    response = _response(kernel, height, width)[:, None]
    # Its ends do not meet. Blurred across them they do, as if the kernel had seen a scene that repeats.
    across = torch.fft.irfft2(torch.fft.rfft2(extended) * response, s=(height, width))
    inner = _window(height, width, BORDER_PX, light)
    spectrum = torch.fft.rfft2(inner * extended + (1 - inner) * across)
    power, roughness = response.abs().square(), _roughness(height, width, light) + 0.01
    kept = slice(BORDER_PX, -BORDER_PX)
    return [
        torch.fft.irfft2(spectrum * response.conj() / (power + each * roughness), s=(height, width))[..., kept, kept]
        for each in noise_to_signal
    ]


def _sides(size_px: int) -> list[int]:
    """Odd sizes of the kernel, from 3 up."""
    sides = []
    side = size_px
    while side > 4:
        sides.append(side)
        side = min(int(side / STEP) | 1, side - 2)
    return [3, *reversed(sides)]


def _reduced(brightness: torch.Tensor, factor: float) -> torch.Tensor:
    if factor == 1:
        return brightness
    size = [max(1, round(side * factor)) for side in brightness.shape[-2:]]
    return functional.interpolate(brightness[:, None], size, mode="bilinear", antialias=True)[:, 0]


def _periodic(scene: torch.Tensor, border: int) -> torch.Tensor:
    """`scene` with its edge repeated as a border, which fades into a blur that is the same at opposite ends.

    The border is `border` wide at least; the new height and width are such as Fourier transforms are quick at.
    """
    height, width = (_quick_length(side + 2 * border) for side in scene.shape[-2:])
    below, beside = height - scene.shape[-2], width - scene.shape[-1]
    sides = (beside // 2, beside - beside // 2, below // 2, below - below // 2)
    extended = functional.pad(scene[:, None], sides, mode="replicate")[:, 0]
    down, along = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    softness = torch.exp(-2 * (math.pi * border / 2) ** 2 * (down[:, None] ** 2 + along**2)).to(scene)
    soft = torch.fft.irfft2(torch.fft.rfft2(extended) * softness, s=(height, width))
    inner = _window(height, width, border, scene)
    repeating: torch.Tensor = inner * extended + (1 - inner) * soft
    return repeating


def _quick_length(length: int) -> int:
    """The least number, `length` or more, without prime factors above 5."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _simplified(scene: torch.Tensor, kernel: torch.Tensor, simplicity: float) -> torch.Tensor:
    """`scene` with `kernel` undone and few slopes left: half-quadratic splitting of the L0 problem."""
    height, width = scene.shape[-2:]
    response = _response(kernel, height, width)
    towards = response.conj() * torch.fft.rfft2(scene)
    power, roughness = response.abs().square(), _roughness(height, width, scene)
    simple, firmness = scene, 2 * simplicity
    while firmness < FIRMEST:
        across, down = _slopes(simple).unbind(1)
        kept = across.square() + down.square() >= simplicity / firmness
        across, down = across * kept, down * kept
        divergence = across.roll(1, dims=-1) - across + down.roll(1, dims=-2) - down
        spectrum = (towards + firmness * torch.fft.rfft2(divergence)) / (power + firmness * roughness)
        simple = torch.fft.irfft2(spectrum, s=(height, width))
        firmness *= 2
    return simple


def _steepest(slopes: torch.Tensor) -> torch.Tensor:
    """`slopes` (N, 2, H, W), zero but for the steepest."""
    steepness = slopes.square().sum(dim=1).flatten(1)
    count = steepness.shape[1]
    threshold = steepness.kthvalue(count - int(EDGE_SHARE * count), dim=1).values
    return slopes * (steepness > threshold[:, None]).reshape(len(slopes), 1, *slopes.shape[-2:])


def _fitted(edges: torch.Tensor, slopes: torch.Tensor, side: int, border: int) -> torch.Tensor:
    """The kernel (N, side, side) that makes `edges` into `slopes`, both (N, 2, H, W), by least squares."""
    height, width = edges.shape[-2:]
    inner = _window(height, width, border, edges)
    ours, theirs = torch.fft.rfft2(edges * inner), torch.fft.rfft2(slopes * inner)
    alike = torch.fft.irfft2(ours.abs().square().sum(dim=1), s=(height, width))
    shared = torch.fft.irfft2((ours.conj() * theirs).sum(dim=1), s=(height, width))
    place = torch.arange(side, device=edges.device)
    apart, reach = place[:, None] - place, place - side // 2
    matrix = alike[:, apart % height][..., apart % width].transpose(2, 3).reshape(-1, side**2, side**2)
    wanted = shared[:, reach % height][..., reach % width].reshape(-1, side**2, 1)
    ridge = RIDGE * alike[:, :1, :1] + NO_SLOPE**2 * height * width
    matrix = matrix + ridge * torch.eye(side**2, device=edges.device, dtype=edges.dtype)
    fitted: torch.Tensor = torch.linalg.solve(matrix, wanted)
    return fitted.reshape(-1, side, side)


def _without_noise(kernel: torch.Tensor) -> torch.Tensor:
    """Not negative, without faint parts, its sum 1; a point where nothing is left."""
    kernel = kernel.relu()
    peak = kernel.amax(dim=(1, 2), keepdim=True)
    kernel = kernel * (kernel >= FAINT * peak)
    point = torch.zeros_like(kernel[0])
    point[len(point) // 2, len(point) // 2] = 1
    kernel = torch.where(peak > LEAST_PEAK, kernel, point)
    return kernel / kernel.sum(dim=(1, 2), keepdim=True)


def _centred(kernel: torch.Tensor) -> torch.Tensor:
    """`kernel` moved so that its centre of gravity lies in its middle."""
    side = kernel.shape[-1]
    place = torch.arange(side, device=kernel.device, dtype=kernel.dtype) - side // 2
    off = torch.stack([(kernel.sum(dim=1) * place).sum(dim=1), (kernel.sum(dim=2) * place).sum(dim=1)], dim=1)
    moves = torch.eye(2, 3, device=kernel.device, dtype=kernel.dtype).repeat(len(kernel), 1, 1)
    moves[:, :, 2] = off * (2 / side)
    grid = functional.affine_grid(moves, [len(kernel), 1, side, side], align_corners=False)
    moved = functional.grid_sample(kernel[:, None], grid, align_corners=False)[:, 0]
    return moved / moved.sum(dim=(1, 2), keepdim=True)


def _slopes(scene: torch.Tensor) -> torch.Tensor:
    """(N, H, W) -> (N, 2, H, W): differences of neighbours, across and down."""
    return torch.stack([scene.roll(-1, dims=-1) - scene, scene.roll(-1, dims=-2) - scene], dim=1)


def _response(kernel: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What `kernel` does to each frequency: (N, height, width // 2 + 1), complex."""
    side = kernel.shape[-1]
    placed = functional.pad(kernel, (0, width - side, 0, height - side))
    response: torch.Tensor = torch.fft.rfft2(placed.roll((-(side // 2),) * 2, dims=(-2, -1)))
    return response


def _roughness(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """(height, width // 2 + 1): the power of the differences of neighbours at each frequency."""
    down = torch.arange(height, device=like.device, dtype=like.dtype) / height
    along = torch.arange(width // 2 + 1, device=like.device, dtype=like.dtype) / width
    return 4 * (down * math.pi).sin().square()[:, None] + 4 * (along * math.pi).sin().square()


def _window(height: int, width: int, border: int, like: torch.Tensor) -> torch.Tensor:
    """(height, width): 1, but near the edges, where it falls smoothly to 0."""

    def along(length: int) -> torch.Tensor:
        place = torch.arange(length, device=like.device, dtype=like.dtype)
        rise = ((torch.minimum(place, length - 1 - place) + 0.5) / border).clamp(max=1)
        return (rise * (math.pi / 2)).sin().square()

    return along(height)[:, None] * along(width)
