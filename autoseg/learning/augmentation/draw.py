"""Everything random about a training sample, drawn before its patch is read: how it is turned, and what is done to its values.

Order, probabilities and meaning are nnU-Net's; the numbers come from the plan. What is drawn depends on the
generator alone, and neither on the device nor on the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoseg.learning.previous_stage import FaultDraw
from autoseg.records import AugmentationSpec, Shape
from autoseg.records.augmentation import Factor

NO_FAULTS = FaultDraw()
ANISOTROPY = 3  # patches longer than this against their first axis are turned within their slices only
INJECTIVE = (
    0.4  # of the distance of nodes: cubic B-splines displaced by less never fold (Choi and Lee 2000: 0.403 in 3D, 0.489 in 2D)
)
SIGMA_OF_NODES = 3**-0.5  # sigma of a cubic B-spline, in distances of its nodes
ROUNDING = 1e-6  # pixels by which a computed box may seem larger than it is


@dataclass(frozen=True, eq=False)
class Bend:
    """A smooth displacement: cubic B-splines on a grid of nodes that covers the patch and one distance more on every side.

    `nodes` (axes, *grid) in pixels of the patch before it is turned; `distance` of neighbouring nodes in pixels, per axis.
    """

    nodes: np.ndarray
    distance: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SampleDraw:
    """What happens to one sample. The defaults leave it as it is; tuples are per channel, None where a channel is left out.

    `matrix` takes an offset from the patch's centre to one in the image; in sliced patches it has the axes of a slice. All
    that is random and not here (the noise) follows from `seed`.
    """

    read_size: Shape  # what is to be read about the patch's centre
    matrix: np.ndarray | None = None
    angles: tuple[float, ...] = ()  # radians, in the plane or about each axis
    scale: float = 1.0
    bend: Bend | None = None
    noise: float = 0.0
    blur: tuple[tuple[float, ...] | None, ...] = ()
    brightness: tuple[float, ...] = ()
    contrast: tuple[float, ...] = ()
    low_resolution: tuple[float | None, ...] = ()
    gamma_inverted: tuple[float, ...] = ()
    gamma: tuple[float, ...] = ()
    mirrored: tuple[int, ...] = ()
    seed: int = 0
    previous: FaultDraw = NO_FAULTS  # of the first stage's mask, in the second stage of a cascade

    def words(self) -> tuple[str, ...]:
        """What was drawn, for a person to read; channels in order, separated by `/`."""
        blur = [None if sigmas is None else "x".join(f"{sigma:.2g}" for sigma in sigmas) for sigmas in self.blur]
        zoom = [None if zoom is None else f"{zoom:.2f}" for zoom in self.low_resolution]
        degrees = ", ".join(f"{np.degrees(angle):.0f}°" for angle in self.angles)
        parts = (
            ("turned", degrees),
            ("scaled", f"{1 / self.scale:.2f}" if self.scale != 1 else ""),
            ("bent", "" if self.bend is None else f"{np.abs(self.bend.nodes).max():.1f} px"),
            ("noise", f"{self.noise:.2f}" if self.noise else ""),
            ("blurred", _listed(blur)),
            ("brightness", _listed([f"{value:.2f}" for value in self.brightness])),
            ("contrast", _listed([f"{value:.2f}" for value in self.contrast])),
            ("coarse", _listed(zoom)),
            ("inverted gamma", _listed([f"{value:.2f}" for value in self.gamma_inverted])),
            ("gamma", _listed([f"{value:.2f}" for value in self.gamma])),
            ("mirrored along", ", ".join(map(str, self.mirrored))),
        )
        return tuple(f"{name} {value}" for name, value in parts if value)


def is_sliced(patch_size: Shape) -> bool:
    """Whether a patch is so anisotropic that it is turned within its slices only (nnU-Net's "dummy 2D")."""
    return len(patch_size) == 3 and max(patch_size) / patch_size[0] > ANISOTROPY


def draw_sample(
    rng: np.random.Generator, spec: AugmentationSpec, patch_size: Shape, mirror_axes: tuple[int, ...], channels: int
) -> SampleDraw:
    """One sample's transforms, in nnU-Net's order."""
    turned = draw_geometry(rng, spec, patch_size)
    per_channel = range(channels)
    axes = len(patch_size)
    noise = float(rng.uniform(*spec.noise.sigma)) if fires(rng, spec.noise.probability) else 0.0
    blur: tuple[tuple[float, ...] | None, ...] = ()
    if fires(rng, spec.blur.probability):
        chosen = [fires(rng, spec.blur.channel_probability) for _ in per_channel]
        blur = tuple(tuple(float(s) for s in rng.uniform(*spec.blur.sigma, axes)) if take else None for take in chosen)
    brightness = draw_factors(rng, spec.brightness, channels)
    contrast = draw_factors(rng, spec.contrast, channels)
    low: tuple[float | None, ...] = ()
    if fires(rng, spec.low_resolution.probability):
        chosen = [fires(rng, spec.low_resolution.channel_probability) for _ in per_channel]
        low = tuple(float(rng.uniform(*spec.low_resolution.zoom)) if take else None for take in chosen)
    return SampleDraw(
        read_size=turned.read_size,
        matrix=turned.matrix,
        angles=turned.angles,
        scale=turned.scale,
        bend=turned.bend,
        noise=noise,
        blur=blur,
        brightness=brightness,
        contrast=contrast,
        low_resolution=low,
        gamma_inverted=draw_factors(rng, spec.gamma_inverted, channels),
        gamma=draw_factors(rng, spec.gamma, channels),
        mirrored=tuple(axis for axis in mirror_axes if fires(rng, spec.mirroring.probability)),
        seed=int(rng.integers(2**63)),
    )


def draw_geometry(rng: np.random.Generator, spec: AugmentationSpec, patch_size: Shape) -> SampleDraw:
    """How the patch is turned, scaled and bent, and the box that is to be read for that; nothing else."""
    sliced = is_sliced(patch_size)
    plane = patch_size[1:] if sliced else patch_size
    rotates, scales, bends = (fires(rng, part.probability) for part in (spec.rotation, spec.scaling, spec.elastic))
    largest = np.radians(spec.rotation.degrees)
    count = 1 if len(plane) == 2 else 3
    angles = tuple(float(angle) for angle in rng.uniform(-largest, largest, count)) if rotates else ()
    scale = float(rng.uniform(*spec.scaling.factor)) if scales else 1.0
    bend = draw_bend(rng, plane, spec.elastic.displacement, spec.elastic.smoothness) if bends else None
    if not (rotates or scales or bends):
        return SampleDraw(read_size=patch_size)
    matrix = affine_matrix(angles, len(plane)) * scale
    box = bounding_box(matrix, plane, bend)
    return SampleDraw((*patch_size[:1], *box) if sliced else box, matrix, angles, scale, bend)


def affine_matrix(angles: tuple[float, ...], axes: int) -> np.ndarray:
    """Rotation in the plane, or about the first, then the second, then the third axis; () turns nothing."""
    if not angles:
        return np.eye(axes)
    if axes == 2:
        return _plane_rotation(2, 0, 1, angles[0])
    # about the second axis the sense is that of the third towards the first
    about = (_plane_rotation(3, 1, 2, angles[0]), _plane_rotation(3, 2, 0, angles[1]), _plane_rotation(3, 0, 1, angles[2]))
    return about[2] @ about[1] @ about[0]


def bounding_box(matrix: np.ndarray, patch_size: Shape, bend: Bend | None) -> Shape:
    """The smallest box about the patch's centre that holds all its points; it shrinks where the patch is scaled up.

    Its sizes are even or odd as the patch's are, so that both have the same centre. B-splines stay within the hull of their nodes.
    """
    half = (np.array(patch_size) - 1) / 2
    reach = half if bend is None else half + np.abs(bend.nodes).reshape(len(patch_size), -1).max(axis=1)
    needed = np.abs(matrix) @ reach
    margins = np.ceil(needed - half - ROUNDING).astype(int)
    return tuple(int(n + 2 * margin) for n, margin in zip(patch_size, margins, strict=True))


def draw_bend(
    rng: np.random.Generator, patch_size: Shape, displacement: tuple[float, float], smoothness: tuple[float, float]
) -> Bend:
    """Random displacements of the nodes of a grid, with cubic B-splines in between (Rueckert et al. 1999).

    Both ranges are in parts of the patch's shortest edge. A node is displaced by at most what is drawn (between nodes it is
    less), and never by as much as would fold the image.
    """
    edge = min(patch_size)
    distance = max(1.0, float(rng.uniform(*smoothness)) * edge / SIGMA_OF_NODES)
    grid = tuple(int(np.ceil((n - 1) / distance)) + 3 for n in patch_size)
    nodes = rng.standard_normal((len(patch_size), *grid)).astype(np.float32)
    largest = min(float(rng.uniform(*displacement)) * edge, INJECTIVE * distance)
    return Bend(nodes * (largest / np.abs(nodes).max()), (distance,) * len(patch_size))


def draw_factors(rng: np.random.Generator, part: Factor, channels: int) -> tuple[float, ...]:
    """A factor per channel, half of them below 1; () where it does not fire."""
    if not fires(rng, part.probability):
        return ()
    low, high = part.factor
    below = [rng.random() < 0.5 and low < 1 for _ in range(channels)]
    return tuple(float(rng.uniform(low, 1) if less else rng.uniform(max(low, 1), high)) for less in below)


def fires(rng: np.random.Generator, probability: float) -> bool:
    """True with this probability; a number is drawn in any case."""
    return bool(rng.random() < probability)


def _plane_rotation(axes: int, first: int, second: int, angle: float) -> np.ndarray:
    matrix = np.eye(axes)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def _listed(values: list[str | None] | list[str]) -> str:
    """Channels in order; empty where none is concerned."""
    return "/".join(value or "-" for value in values) if any(values) else ""
