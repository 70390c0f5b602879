"""Faults of many kinds, each planted in one case of a copy; nothing here knows how they are looked for."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dataset_copies import Copy, Planted, read_array, rewrite, write_array
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion


def _label_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.labels[case].unlink()
    return Planted("label lost", [case])


def _image_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.images[case].unlink()
    return Planted("image lost", [case])


def _name_in_other_case(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    path.rename(path.with_name(path.name.replace("HC", "hc") if "HC" in path.name else path.name.swapcase()))
    return Planted("name in other case", [case])


def _other_grid(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    write_array(path, read_array(path)[..., :-3])
    return Planted("label on another grid", [case])


def _stray_value(copy: Copy) -> Planted:
    case = copy.take()

    def paint(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        place = tuple(slice(size // 2, size // 2 + 3) for size in array.shape)
        array[place] = copy.value + 5
        return array

    rewrite(copy.labels[case], paint)
    return Planted("undeclared value", [case], f"value {copy.value + 5}")


def _jpeg_label(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    Image.fromarray((read_array(path) > 0).astype(np.uint8) * 255).save(path.with_suffix(".jpg"), quality=90)
    path.unlink()
    return Planted("label as JPEG", [case])


def _smoothed_label(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.labels[case]
    picture = Image.fromarray((read_array(path) > 0).astype(np.uint8) * 255)
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)
    small.resize(picture.size, Image.Resampling.BICUBIC).save(path)
    return Planted("label smoothed", [case])


def _broken_numbers(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.labels[case], lambda array: np.where(array > 0, array - 0.25, 0).astype(np.float32))
    return Planted("label not whole", [case])


def _float_label(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.labels[case], lambda array: array.astype(np.float32))
    return Planted("label as float", [case])


def _white_label(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.labels[case], lambda array: (array > 0).astype(np.uint8) * 255)
    return Planted("label 0 and 255", [case])


def _palette_label(copy: Copy) -> Planted:
    case = copy.take()
    picture = Image.fromarray(read_array(copy.labels[case])).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0] + [128] * 762)
    picture.save(copy.labels[case])
    return Planted("label as palette", [case])


def _not_a_number(copy: Copy) -> Planted:
    case = copy.take()

    def spoil(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float32)
        array.reshape(-1)[:: array.size // 7] = np.nan
        return array

    rewrite(copy.images[case], spoil)
    return Planted("image with NaN", [case])


def _flat_image(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.images[case], lambda array: np.full_like(array, 12))
    return Planted("image of one value", [case])


def _empty_label(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.labels[case], np.zeros_like)
    return Planted("label empty", [case])


def _full_label(copy: Copy) -> Planted:
    case = copy.take()
    rewrite(copy.labels[case], lambda array: np.full_like(array, copy.value))
    return Planted("label full", [case])


def _few_pixels(copy: Copy) -> Planted:
    case = copy.take()

    def keep(array: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(array)
        some = np.flatnonzero(array == copy.value)[:4]
        kept.reshape(-1)[some] = copy.value
        return kept

    rewrite(copy.labels[case], keep)
    return Planted("structure of a few pixels", [case])


def _unit_of_spacing(copy: Copy) -> Planted:
    case = copy.take()
    factor = float(copy.random.choice([0.1, 10.0, 1000.0]))
    if case in copy.spacing:
        copy.spacing[case] = tuple(size * factor for size in copy.spacing[case])
    else:
        for path in (copy.images[case], copy.labels[case]):
            image = sitk.ReadImage(str(path))
            image.SetSpacing([size * factor for size in image.GetSpacing()])
            sitk.WriteImage(image, str(path))
    return Planted("spacing in another unit", [case], f"times {factor:g}")


def _row_lost(copy: Copy) -> Planted:
    case = copy.take()
    copy.missing_rows.add(case)
    return Planted("pixel size lost", [case])


def _row_too_many(copy: Copy) -> Planted:
    copy.extra_rows.append("999_HC")
    return Planted("pixel size without image", ["999_HC"])


def _copied_image(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)
    _write_as(copy.images[case], copy.images[other], lambda array: array)
    return Planted("image of another subject", [other, case])


def _changed_copy(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)

    def change(array: np.ndarray) -> np.ndarray:
        if array.ndim == 2:
            memory = io.BytesIO()
            Image.fromarray(np.clip(array * 1.15 + 6.0, 0, 255).astype(np.uint8)).save(memory, "JPEG", quality=70)
            return np.array(Image.open(memory))
        noise = copy.random.normal(0, 0.02 * array.std(), array.shape)
        louder = array * 1.1 + noise
        return (np.clip(louder, 0, 255) if array.dtype == np.uint8 else louder).astype(array.dtype)

    _write_as(copy.images[case], copy.images[other], change)
    return Planted("changed copy of another subject's image", [other, case])


def _write_as(source: Path, target: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    array = change(read_array(source))
    if target.suffix == ".gz":
        image = sitk.GetImageFromArray(array)
        image.CopyInformation(sitk.ReadImage(str(source)))
        sitk.WriteImage(image, str(target))
    else:
        Image.fromarray(array).save(target)


def _label_of_another(copy: Copy) -> Planted:
    case = copy.take()
    other = copy.another(case)
    shutil.copyfile(copy.labels[case], copy.labels[other])
    return Planted("label of another subject", [other, case])


def _drawn_as_outline(copy: Copy) -> Planted:
    case = copy.take()

    def outline(array: np.ndarray) -> np.ndarray:
        inside = array > 0
        return np.where(inside & ~binary_erosion(inside, iterations=2), array, 0).astype(array.dtype)

    rewrite(copy.labels[case], outline)
    return Planted("label as outline", [case])


def _exchanged(copy: Copy) -> Planted:
    case = copy.take()
    image, label = read_array(copy.images[case]), read_array(copy.labels[case])
    write_array(copy.images[case], label)
    write_array(copy.labels[case], image)
    return Planted("image and label exchanged", [case])


def _other_scale(copy: Copy) -> Planted:
    case = copy.take()
    if copy.rank == 2:
        rewrite(copy.images[case], lambda array: array.astype(np.uint16) * 200)
    else:
        rewrite(copy.images[case], lambda array: array.astype(np.float32) * 1e5)
    return Planted("image on another scale", [case])


def _cut_off(copy: Copy) -> Planted:
    case = copy.take()
    path = copy.images[case]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return Planted("image cut off", [case])


def _leak(copy: Copy) -> Planted:
    """A frame of a subject with several is moved to the other side; where no subject has several, a case stands on both sides."""
    several = [case for case in copy.free if sum(copy.subjects[case] == subject for subject in copy.subjects.values()) > 1]
    if not several:
        case = copy.take()
        copy.on_both_sides.append(case)
        return Planted("case on both sides", [case])
    case = several[int(copy.random.integers(len(several)))]
    copy.free.remove(case)
    copy.leaking.append(case)
    return Planted("subject on both sides", [case])


def _text(copy: Copy) -> Planted:
    case = copy.take()
    picture = Image.open(copy.images[case]).convert("L")
    draw = ImageDraw.Draw(picture)
    left, top = picture.width // 2 - 60, picture.height // 2
    draw.rectangle((left - 4, top - 4, left + 150, top + 26), fill=0)
    draw.text((left, top), f"HC {copy.random.integers(100, 340)} mm", fill=255, font=ImageFont.load_default(size=20))
    picture.save(copy.images[case])
    return Planted("text over the structure", [case])


def _coloured(copy: Copy) -> Planted:
    case = copy.take()
    grey = Image.open(copy.images[case]).convert("RGB")
    ImageDraw.Draw(grey).line((10, 10, 60, 60), fill=(255, 255, 0), width=2)
    grey.save(copy.images[case])
    return Planted("image with coloured marks", [case])


def _moved_origin(copy: Copy) -> Planted:
    case = copy.take()
    label = sitk.ReadImage(str(copy.labels[case]))
    label.SetOrigin([value + 25.0 for value in label.GetOrigin()])
    sitk.WriteImage(label, str(copy.labels[case]))
    return Planted("label at another place", [case])


def _other_spacing_of_label(copy: Copy) -> Planted:
    case = copy.take()
    label = sitk.ReadImage(str(copy.labels[case]))
    label.SetSpacing([size * 1.5 for size in label.GetSpacing()])
    sitk.WriteImage(label, str(copy.labels[case]))
    return Planted("label with another spacing", [case])


def _turned(copy: Copy) -> Planted:
    case = copy.take()
    for path in (copy.images[case], copy.labels[case]):
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LSA"), str(path))
    return Planted("another orientation", [case])


def _flat_slice_2d(copy: Copy) -> Planted:
    case = copy.take()
    for path in (copy.images[case], copy.labels[case]):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image[:, :, image.GetSize()[2] // 2], str(path))
    return Planted("a slice among volumes", [case])


def _label_without_image(copy: Copy) -> Planted:
    case = copy.take()
    extra = copy.labels[case].with_name(copy.labels[case].name.replace(case, f"{case}b"))
    shutil.copyfile(copy.labels[case], extra)
    return Planted("label without image", [extra.name.split(".")[0]])


PLANTERS: dict[str, Callable[[Copy], Planted]] = {
    "label lost": _label_lost,
    "image lost": _image_lost,
    "name in other case": _name_in_other_case,
    "label on another grid": _other_grid,
    "undeclared value": _stray_value,
    "label as JPEG": _jpeg_label,
    "label smoothed": _smoothed_label,
    "label not whole": _broken_numbers,
    "label as float": _float_label,
    "label 0 and 255": _white_label,
    "label as palette": _palette_label,
    "image with NaN": _not_a_number,
    "image of one value": _flat_image,
    "label empty": _empty_label,
    "label full": _full_label,
    "structure of a few pixels": _few_pixels,
    "spacing in another unit": _unit_of_spacing,
    "pixel size lost": _row_lost,
    "pixel size without image": _row_too_many,
    "image of another subject": _copied_image,
    "changed copy of another subject's image": _changed_copy,
    "label of another subject": _label_of_another,
    "label as outline": _drawn_as_outline,
    "image and label exchanged": _exchanged,
    "image on another scale": _other_scale,
    "image cut off": _cut_off,
    "subject on both sides": _leak,
    "text over the structure": _text,
    "image with coloured marks": _coloured,
    "label at another place": _moved_origin,
    "label with another spacing": _other_spacing_of_label,
    "another orientation": _turned,
    "a slice among volumes": _flat_slice_2d,
    "label without image": _label_without_image,
}
