"""Small synthetic data sets with known truth, for the demo, the tests and the benchmarks.

`write_fetal_head` draws 2D ultrasound-like pictures of a fetal head; `write_volumes` draws 3D, MRI-like volumes with thick slices.
Both depend on nothing but their arguments: the same seed gives the same files. They are made so that shortcuts fail: no grey-value
threshold finds the structures, and the pixel size differs so much between subjects that millimetres cannot be ignored.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

from autoseg.volume.ellipse import Ellipse
from autoseg.writing import whole_file

BRAIN, CSP, LV = 1, 2, 3
ORGAN, LESION = 1, 2
PIXEL_SIZE_MM = (0.5, 1.25)  # smallest and largest over the subjects
PRESENCE = (
    (True, True),
    (True, True),
    (True, False),
    (True, True),
    (False, True),
    (False, False),
)  # (CSP, LV), frame after frame
SECTOR_HALF_ANGLE = 0.66  # rad
DYNAMIC_RANGE_DB = 46.0  # of the log compression that turns echo amplitudes into grey values
LESION_FREE_EVERY = 5  # every fifth volume has no lesion


@dataclass(frozen=True)
class Head:
    """One head in one frame, in pixels: outer edge of the skull, and the inner structures where they are in the picture."""

    outline: Ellipse
    csp: Ellipse | None
    lv: Ellipse | None


# ---------------------------------------------------------------------------------------------------------- fetal head, 2D


def write_fetal_head(folder: Path, *, subjects: int = 12, seed: int = 0, size: tuple[int, int] = (160, 240)) -> Path:
    """Write a fetal-head-like ultrasound data set in the `folders` layout.

    `images/` and `labels/` hold 8-bit grey PNGs of `size` (height, width), one to three frames per subject; labels are 0 background,
    1 Brain (skull included), 2 CSP, 3 LV, and the head is their union. `pixel_size.csv` gives the size of the square pixels, one
    value per subject between 0.5 and 1.25 mm. `truth.csv` gives the true head circumference in mm: the perimeter of the ellipse that
    was drawn, not of its pixels. CSP and LV are each absent from part of the frames.

    Args:
        folder: is made if needed; files of the same names are replaced.
        subjects: at least 1.
        seed: two data sets of the same arguments are identical byte for byte.
        size: height and width in pixels; the head fills about two thirds of the height.

    Returns:
        `folder`.
    """
    random = np.random.default_rng(seed)
    pixel_sizes = random.permutation(np.geomspace(*PIXEL_SIZE_MM, subjects)).round(4)
    sizes: list[tuple[str, str]] = []
    truth: list[tuple[str, str]] = []
    frame = 0
    for subject, pixel_mm in enumerate(pixel_sizes, start=1):
        usual = _draw_head(random, size)
        frames = int(random.integers(1, 4))
        for number in range(1, frames + 1):
            head = _another_view(random, usual, size, PRESENCE[frame % len(PRESENCE)])
            name = f"Patient{subject:05d}_Plane3_{number}_of_{frames}.png"
            _save_png(folder / "images" / name, _ultrasound(random, head, size))
            _save_png(folder / "labels" / name, _head_labels(head, size))
            sizes.append((name, f"{pixel_mm:.4f}"))
            truth.append((name, f"{head.outline.perimeter() * pixel_mm:.3f}"))
            frame += 1
    description = {
        "name": "fetal head phantom",
        "channels": ["ultrasound"],
        "labels": {"Brain": BRAIN, "CSP": CSP, "LV": LV},
        "derived": {"head": ["Brain", "CSP", "LV"]},
        "subjects": r"^(Patient\d+)_Plane",
    }
    _save_text(folder / "dataset.json", json.dumps(description, indent=1) + "\n")
    _save_csv(folder / "pixel_size.csv", ("filename", "pixel size(mm)"), sizes)
    _save_csv(folder / "truth.csv", ("image", "head_circumference"), truth)
    return folder


def _draw_head(random: np.random.Generator, size: tuple[int, int]) -> Head:
    """A subject's head in the middle of the picture, all structures present."""
    height, width = size
    minor = height * random.uniform(0.24, 0.34)
    major = minor * random.uniform(1.18, 1.38)
    outline = Ellipse((height * 0.52, width * 0.5), (major, minor), random.uniform(-0.6, 0.6))
    along, across, side = random.uniform(0.38, 0.5), random.uniform(-0.04, 0.04), random.choice([-1.0, 1.0])
    csp = _inside(outline, along, across, random.uniform(0.13, 0.18), random.uniform(0.06, 0.085), 0.0)
    along, across = -random.uniform(0.32, 0.45), side * random.uniform(0.34, 0.42)
    lv = _inside(outline, along, across, random.uniform(0.22, 0.3), random.uniform(0.1, 0.14), -0.35 * side)
    return Head(outline, csp, lv)


def _inside(head: Ellipse, along: float, across: float, length: float, breadth: float, turn: float) -> Ellipse:
    """A small ellipse within the head; lengths are fractions of the head's half axes, `turn` is relative to its long axis."""
    (y, x), (major, minor), angle = head.centre_yx, head.semi_axes, head.angle_rad
    centre = (
        y + along * major * np.sin(angle) + across * minor * np.cos(angle),
        x + along * major * np.cos(angle) - across * minor * np.sin(angle),
    )
    return Ellipse((float(centre[0]), float(centre[1])), (length * major, breadth * major), angle + turn)


def _another_view(random: np.random.Generator, head: Head, size: tuple[int, int], presence: tuple[bool, bool]) -> Head:
    """The same head shifted, turned by a little and sometimes upside down, and a few per cent larger or smaller."""
    height, width = size
    scale = random.uniform(0.95, 1.05)
    turn = random.uniform(-0.35, 0.35) + np.pi * random.integers(0, 2)
    (y, x), cosine, sine = head.outline.centre_yx, np.cos(turn), np.sin(turn)
    shift = (random.uniform(-0.05, 0.09) * height, random.uniform(-0.1, 0.1) * width)

    def move(ellipse: Ellipse) -> Ellipse:
        dy, dx = ((ellipse.centre_yx[0] - y) * scale, (ellipse.centre_yx[1] - x) * scale)
        centre = (y + shift[0] + dy * cosine + dx * sine, x + shift[1] + dx * cosine - dy * sine)
        axes = (ellipse.semi_axes[0] * scale, ellipse.semi_axes[1] * scale)
        return Ellipse((float(centre[0]), float(centre[1])), axes, float(ellipse.angle_rad + turn))

    assert head.csp is not None and head.lv is not None
    return Head(move(head.outline), move(head.csp) if presence[0] else None, move(head.lv) if presence[1] else None)


def _radius(ellipse: Ellipse, size: tuple[int, int], power: float = 2.0) -> np.ndarray:
    """How far each pixel lies from the ellipse's centre, 1 on its edge; a power above 2 makes its corners fuller. (height, width)."""
    y, x = np.indices(size, dtype=float)
    dy, dx = y - ellipse.centre_yx[0], x - ellipse.centre_yx[1]
    cosine, sine = np.cos(ellipse.angle_rad), np.sin(ellipse.angle_rad)
    along = np.abs(dx * cosine + dy * sine) / ellipse.semi_axes[0]
    across = np.abs(dy * cosine - dx * sine) / ellipse.semi_axes[1]
    return (along**power + across**power) ** (1 / power)


def _head_labels(head: Head, size: tuple[int, int]) -> np.ndarray:
    labels = np.where(_radius(head.outline, size) <= 1, BRAIN, 0).astype(np.uint8)
    for value, structure, power in ((LV, head.lv, 2.0), (CSP, head.csp, 4.0)):
        if structure is not None:
            labels[_radius(structure, size, power) <= 1] = value
    return labels


def _ultrasound(random: np.random.Generator, head: Head, size: tuple[int, int]) -> np.ndarray:
    """A grey picture of the head: tissue and fluid, echoes, shadows, attenuation, speckle, log compression, sector."""
    height, width = size
    y, x = np.indices(size, dtype=float)
    apex_y = -0.28 * height
    depth, beam = np.hypot(y - apex_y, x - width / 2), np.arctan2(x - width / 2, y - apex_y)
    echo_db = _surroundings(random, head, size)
    echo_db = _draw_brain(random, head, echo_db, beam)
    amplitude = ndimage.gaussian_filter(10 ** (echo_db / 20), (0.6, 0.9))
    amplitude *= _speckle(random, size)
    level_db = 20 * np.log10(amplitude + 1e-4) + random.uniform(-4, 4)  # the operator's gain
    level_db -= random.uniform(4, 11) * (depth / depth.max())  # attenuation left over after time gain compensation
    level_db -= _shadows_db(random, head, depth, beam, apex_y, size)
    grey = 255 * np.clip(1 + level_db / DYNAMIC_RANGE_DB, 0, 1)
    sector = (np.abs(beam) < SECTOR_HALF_ANGLE) & (depth > 0.3 * height) & (depth < 1.27 * height)
    return np.where(sector, grey, 0).round().astype(np.uint8)


def _surroundings(random: np.random.Generator, head: Head, size: tuple[int, int]) -> np.ndarray:
    """Echo level in dB around the head: tissue, a pocket of fluid as dark as the ventricles, arcs as bright as the skull."""
    height, width = size
    echo_db = random.uniform(-33, -23) + 5 * _smooth_noise(random, size, 14) + 2.5 * _smooth_noise(random, size, 3)
    where = (height * random.uniform(0.2, 0.9), width * random.choice([0.14, 0.86]))
    pocket = Ellipse(where, (height * 0.38, height * 0.22), random.uniform(0, np.pi))
    echo_db[_radius(pocket, size) + 0.15 * _smooth_noise(random, size, 6) < 1] = -42
    for _ in range(random.integers(3, 6)):
        minor = height * random.uniform(0.18, 0.5)
        where = (height * random.uniform(-0.1, 1.1), width * random.uniform(0.05, 0.95))
        arc = Ellipse(where, (minor * random.uniform(1.0, 1.6), minor), random.uniform(0, np.pi))
        thickness = random.uniform(0.03, 0.09)
        gaps = _smooth_noise(random, size, 12) > -0.2
        on_arc = (np.abs(_radius(arc, size) - 1) < thickness) & gaps & (_radius(head.outline, size) > 1.05)
        echo_db[on_arc] = random.uniform(-7, 0)
    return echo_db


def _draw_brain(random: np.random.Generator, head: Head, echo_db: np.ndarray, beam: np.ndarray) -> np.ndarray:
    """Put the head into the echo levels: brain, falx, CSP and LV with their walls, and the skull."""
    size = (echo_db.shape[0], echo_db.shape[1])
    radius = _radius(head.outline, size)
    brain_db = -30 + 4 * _smooth_noise(random, size, 6) + 2 * _smooth_noise(random, size, 2)
    falx = Ellipse(
        head.outline.centre_yx, (head.outline.semi_axes[0] * 0.85, head.outline.semi_axes[1] * 0.025), head.outline.angle_rad
    )
    brain_db[(_radius(falx, size, 8.0) < 1) & (_smooth_noise(random, size, 5) > -0.5)] = -18
    for _ in range(random.integers(2, 5)):  # sulci and vessels: dark and bright spots that are none of the structures
        spot = _inside(head.outline, random.uniform(-0.7, 0.7), random.uniform(-0.7, 0.7), 0.09, 0.05, random.uniform(0, np.pi))
        brain_db[_radius(spot, size) < 1] = random.choice([-40.0, -20.0])
    for structure, power, wall in ((head.lv, 2.0, 1.22), (head.csp, 4.0, 1.45)):
        if structure is not None:
            near = _radius(structure, size, power)
            brain_db[near < wall] = -19
            brain_db[near <= 1] = -43
    if head.lv is not None:  # choroid plexus
        plexus = replace(head.lv, semi_axes=(head.lv.semi_axes[0] * 0.5, head.lv.semi_axes[1] * 0.4))
        brain_db[_radius(plexus, size) < 1] = -24
    echo_db = np.where(radius <= 1, brain_db, echo_db)
    # bone reflects best where the beam meets it at a right angle, so the skull fades at its flanks
    normal_y, normal_x = np.gradient(radius)
    facing = np.abs(normal_y * np.cos(beam) + normal_x * np.sin(beam)) / (np.hypot(normal_y, normal_x) + 1e-9)
    thickness = 0.07 + 0.03 * _smooth_noise(random, size, 14)
    skull = (radius <= 1) & (radius > 1 - np.clip(thickness, 0.03, 0.14))
    return np.where(skull, -1 - 21 * (1 - facing) ** 1.2 + 2.5 * _smooth_noise(random, size, 7), echo_db)


def _shadows_db(
    random: np.random.Generator, head: Head, depth: np.ndarray, beam: np.ndarray, apex_y: float, size: tuple[int, int]
) -> np.ndarray:
    """Loss in dB: everything behind the near skull, and two or three wedges behind bone, with soft flanks."""
    loss = np.zeros(size)
    centre_y, centre_x = head.outline.centre_yx
    centre_depth = float(np.hypot(centre_y - apex_y, centre_x - size[1] / 2))
    centre_beam = float(np.arctan2(centre_x - size[1] / 2, centre_y - apex_y))
    reach = head.outline.semi_axes[0] / centre_depth
    for _ in range(random.integers(2, 4)):
        where = centre_beam + reach * random.uniform(-1.1, 1.1)
        begins = centre_depth + head.outline.semi_axes[1] * random.uniform(-1.1, 0.3)
        flank = np.exp(-(((beam - where) / random.uniform(0.03, 0.075)) ** 4))
        loss += random.uniform(9, 22) * flank / (1 + np.exp((begins - depth) / 2))
    return loss


def _speckle(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Multiplicative speckle of mean 1: the modulus of blurred complex noise (Rayleigh), wider across the beam than along it."""
    real, imaginary = (ndimage.gaussian_filter(random.standard_normal(size), (0.7, 1.25)) for _ in range(2))
    modulus = np.hypot(real, imaginary)
    return modulus / modulus.mean()


def _smooth_noise(random: np.random.Generator, size: Sequence[int], sigma: float | Sequence[float]) -> np.ndarray:
    """Gaussian noise of mean about 0 and standard deviation 1 over the picture, correlated over `sigma` pixels."""
    noise = ndimage.gaussian_filter(random.standard_normal(tuple(size)), sigma)
    return noise / noise.std()


# ---------------------------------------------------------------------------------------------------------------- volumes, 3D


def write_volumes(folder: Path, *, cases: int = 10, seed: int = 0) -> Path:
    """Write an MRI-like 3D data set in nnU-Net's raw layout.

    `imagesTr/CASE_0000.nii.gz` (16-bit) and `labelsTr/CASE.nii.gz` (8-bit): 0 background, 1 an organ of irregular shape, 2 a lesion
    inside it; every fifth volume has no lesion. Slices are about 3 mm apart and pixels 1 mm, both varying by a tenth; sizes are about
    (20, 56, 64) as (z, y, x). Around the body lies air of value 0. Outside the organ lie balls as bright as the lesion.
    Every second file is stored in RAS instead of LPS voxel order, with the direction that says so.

    Args:
        folder: is made if needed; files of the same names are replaced.
        cases: at least 1.
        seed: two data sets of the same arguments hold the same voxels.

    Returns:
        `folder`.
    """
    random = np.random.default_rng(seed)
    for number in range(cases):
        shape = (int(random.integers(18, 23)), int(random.integers(52, 61)), int(random.integers(60, 69)))
        spacing = tuple(float(round(usual * random.uniform(0.9, 1.1), 3)) for usual in (3.0, 1.0, 1.0))
        labels, image = _draw_volume(random, shape, spacing, lesion=number % LESION_FREE_EVERY != LESION_FREE_EVERY - 1)
        origin = tuple(float(round(value, 2)) for value in random.uniform(-80, 80, 3))
        name = f"CASE{number + 1:03d}"
        for path, array in ((f"imagesTr/{name}_0000.nii.gz", image), (f"labelsTr/{name}.nii.gz", labels)):
            _save_nifti(folder / path, array, spacing, origin, turned=number % 2 == 1)
    description = {
        "name": "volume phantom",
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "organ": ORGAN, "lesion": LESION},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    _save_text(folder / "dataset.json", json.dumps(description, indent=1) + "\n")
    return folder


def _draw_volume(
    random: np.random.Generator, shape: tuple[int, int, int], spacing: tuple[float, ...], *, lesion: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (uint8) and image (int16) of one volume, in LPS order (z, y, x)."""
    place = np.moveaxis(np.indices(shape), 0, -1) * spacing
    middle = (np.array(shape) - 1) * spacing / 2
    roughness = [6 / step for step in spacing]  # 6 mm, the same in every direction

    def ball(centre: np.ndarray, radii: np.ndarray | float, rough: float) -> np.ndarray:
        return np.linalg.norm((place - centre) / radii, axis=-1) + rough * _smooth_noise(random, shape, roughness) < 1

    body = np.linalg.norm((place - middle) / (middle * (1.5, 0.96, 0.96)), axis=-1) < 1
    centre = middle + random.uniform(-1, 1, 3) * (3, 5, 7)
    organ = ball(centre, random.uniform(0.85, 1.15, 3) * (15, 14, 16), 0.12) & body
    labels = np.where(organ, ORGAN, 0).astype(np.uint8)
    image = 300 + 40 * _smooth_noise(random, shape, roughness)
    image[organ] = 390 + 25 * _smooth_noise(random, shape, roughness)[organ]
    bright = 520 + 30 * _smooth_noise(random, shape, roughness)
    for _ in range(random.integers(3, 6)):
        stray = ball(middle + random.uniform(-0.75, 0.75, 3) * middle, random.uniform(4, 7.5), 0.1) & ~ndimage.binary_dilation(
            organ
        )
        image[stray] = bright[stray]
    if lesion:
        found = ball(centre + random.uniform(-1, 1, 3) * (4, 5, 6), random.uniform(4.5, 7.5), 0.1) & organ
        labels[found], image[found] = LESION, bright[found]
    bias = np.exp(0.18 * _smooth_noise(random, shape, [35 / step for step in spacing]))
    noisy = np.hypot(image * bias + random.normal(0, 28, shape), random.normal(0, 28, shape))  # Rician, as a magnitude image is
    return labels, np.where(body, noisy, 0).round().astype(np.int16)


# -------------------------------------------------------------------------------------------------------------------- writing


def _save_png(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="png")
    _save_bytes(path, buffer.getvalue())


def _save_nifti(path: Path, array: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...], *, turned: bool) -> None:
    """Write a (z, y, x) array; `turned` stores the same body with x and y running the other way."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array[:, ::-1, ::-1]) if turned else array)
    image.SetSpacing(spacing[::-1])
    if turned:
        image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
        ends = [(length - 1) * step for length, step in zip(array.shape[::-1], spacing[::-1], strict=True)]
        origin = (origin[0] + ends[0], origin[1] + ends[1], origin[2])
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".part-{os.getpid()}-{path.name}")
    sitk.WriteImage(image, str(temporary), useCompression=True)
    os.replace(temporary, path)


def _save_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    _save_text(path, text.getvalue())


def _save_text(path: Path, text: str) -> None:
    _save_bytes(path, text.encode())


def _save_bytes(path: Path, data: bytes) -> None:
    with whole_file(path) as temporary:
        temporary.write_bytes(data)
