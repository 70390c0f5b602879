"""A program that knows nothing of autoseg or torch and applies an exported ONNX model by what its `inference.json` says.

    python foreign_program.py MODEL.zip IMAGE OUT.npy [MM]

IMAGE is a file, or several with commas between them, one per channel. MM is the pixel size of a picture. OUT.npy holds the mask, (z, y, x) or (y, x).
"""

import itertools
import json
import math
import sys
import zipfile

import nibabel
import numpy as np
import onnxruntime
from PIL import Image
from scipy import ndimage


class Model:
    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            self.told = json.load(archive.open("inference.json"))
            self.networks = [
                (onnxruntime.InferenceSession(archive.read(one["file"]), providers=["CPUExecutionProvider"]), one)
                for one in self.told["networks"]
            ]

    def logits(self, tile):
        """Mean over mirrored copies and networks."""
        axes = [1 + axis for axis in self.told["mirroring"]["axes"]]
        total, count = 0.0, 0
        for n in range(len(axes) + 1):
            for subset in itertools.combinations(axes, n):
                for session, one in self.networks:
                    found = session.run([one["output"]], {one["input"]: np.flip(tile, subset)[None].astype(np.float32)})[0][0]
                    total, count = total + np.flip(found, subset), count + 1
        return total / count


def read(path, told, mm):
    """(C, *spatial) float32, spacing, and a function that brings a mask back."""
    if told["rank"] == 2:
        return np.asarray(Image.open(path), np.float32)[None], (mm, mm), lambda mask: mask
    image = nibabel.load(path)
    array, affine = np.asarray(image.dataobj, np.float32), image.affine
    turn = np.array([[0, 1], [1, 1], [2, 1]])
    if told["axes"]["orientation"] is not None:
        own = nibabel.io_orientation(affine)
        wanted = nibabel.orientations.axcodes2ornt(tuple(told["axes"]["orientation"]))
        turn = nibabel.orientations.ornt_transform(own, wanted)
    turned = nibabel.apply_orientation(array, turn)
    spacing = [0.0] * 3
    for old, (new, _) in enumerate(turn):
        spacing[int(new)] = float(image.header.get_zooms()[old])

    def back(mask):
        undo = (
            nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt(tuple(told["axes"]["orientation"])), own)
            if told["axes"]["orientation"] is not None
            else turn
        )
        return nibabel.apply_orientation(mask.transpose(), undo).transpose()

    return turned.transpose()[None], tuple(spacing[::-1]), back


def normalised(channel, mask, how):
    scheme = how["scheme"]
    if scheme == "ct":
        return (np.clip(channel, how["lower"], how["upper"]) - how["mean"]) / how["std"]
    if scheme == "zscore":
        where = mask if how["use_mask"] else np.ones_like(mask)
        result = channel.copy()
        result[where] = (channel[where] - channel[where].mean(dtype=np.float64)) / max(channel[where].std(dtype=np.float64), 1e-8)
        return result
    if scheme == "rescale_to_0_1":
        return (channel - channel.min()) / (channel.max() - channel.min())
    return channel / 255 if scheme == "rgb_to_0_1" else channel


def separate(before, after, above):
    if len(before) != 3:
        return None
    for spacing in (before, after):
        if max(spacing) / min(spacing) > above:
            axes = [axis for axis in range(3) if spacing[axis] == max(spacing)]
            return axes[0] if len(axes) == 1 else None
    return None


def resampled(array, shape, order, apart):
    """(*spatial) to `shape`."""
    if array.shape == tuple(shape):
        return array
    plane = [axis for axis in range(array.ndim) if axis != apart]
    factors = [shape[axis] / array.shape[axis] if axis in plane else 1.0 for axis in range(array.ndim)]
    result = array
    if any(factor != 1 for factor in factors):
        if apart is None:
            result = ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True)
            limits = array.min(), array.max()
        else:
            planes = [
                ndimage.zoom(one, [factors[axis] for axis in plane], order=order, mode="nearest", grid_mode=True)
                for one in np.moveaxis(array, apart, 0)
            ]
            result = np.moveaxis(np.stack(planes), 0, apart)
            limits = array.min(axis=tuple(plane), keepdims=True), array.max(axis=tuple(plane), keepdims=True)
        if order == 3:
            result = np.clip(result, *limits)
    if apart is not None:
        old, new = array.shape[apart], shape[apart]
        result = np.take(result, [min(int((i + 0.5) * old / new), old - 1) for i in range(new)], axis=apart)
    return result


def slide(image, model, n_outputs):
    """Logits (K, *spatial) of (C, *spatial)."""
    windows = model.told["windows"]
    patch, along = list(windows["patch_size"]), windows["slice_axis"]
    if along is not None:
        planes = [slide_one(one, model, patch, n_outputs) for one in np.moveaxis(image, 1 + along, 0)]
        return np.moveaxis(np.stack(planes), 0, 1 + along)
    return slide_one(image, model, patch, n_outputs)


def slide_one(image, model, patch, n_outputs):
    windows = model.told["windows"]
    size = image.shape[1:]
    missing = [max(0, p - s) for p, s in zip(patch, size, strict=True)]
    image = np.pad(image, [(0, 0)] + [(m // 2, m - m // 2) for m in missing])
    starts = []
    for length, p in zip(image.shape[1:], patch, strict=True):
        n = math.ceil((length - p) / (p * windows["step_fraction"])) + 1
        starts.append([0] if n == 1 else [round((length - p) * i / (n - 1)) for i in range(n)])
    weight = np.ones(())
    for p in patch:
        weight = weight[..., None] * np.exp(-0.5 * ((np.arange(p) - p // 2) / (windows["gaussian_sigma_fraction"] * p)) ** 2)
    total, weights = np.zeros((n_outputs, *image.shape[1:])), np.zeros(image.shape[1:])
    for corner in itertools.product(*starts):
        where = tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
        total[(slice(None), *where)] += model.logits(image[(slice(None), *where)]) * weight
        weights[where] += weight
    inside = tuple(slice(m // 2, m // 2 + s) for m, s in zip(missing, size, strict=True))
    return (total / weights)[(slice(None), *inside)]


def predict(path, image_path, mm=None):
    model = Model(path)
    told = model.told
    files = [read(path, told, mm) for path in image_path.split(",")]
    image, (_, spacing, back) = np.concatenate([file[0] for file in files]), files[0]
    order = told["axes"]["transpose"]
    image = image.transpose(0, *(1 + axis for axis in order))
    spacing = tuple(spacing[axis] for axis in order)
    full = image.shape[1:]
    box = tuple(slice(0, length) for length in full)
    if told["crop"]["to_nonzero"] and image.any():
        box = ndimage.find_objects((image != 0).any(axis=0).astype(int))[0]
    image = image[(slice(None), *box)]
    mask = ndimage.binary_fill_holes((image != 0).any(axis=0))
    image = np.stack([normalised(image[one["index"]], mask, one["normalization"]) for one in told["channels"]])
    rules, cropped = told["resampling"], image.shape[1:]
    grid = rules["spacing_mm"] or spacing
    grid = tuple(own if wanted is None else wanted for own, wanted in zip(spacing, grid, strict=True))
    shape = [max(round(own / wanted * length), 1) for own, wanted, length in zip(spacing, grid, cropped, strict=True)]
    apart = separate(spacing, grid, rules["separate_axis_above"])
    image = np.stack([resampled(channel, shape, rules["image_order"], apart) for channel in image])
    decision = told["decision"]
    logits = slide(image, model, len(decision["outputs"]))
    apart = separate(grid, spacing, rules["separate_axis_above"])
    logits = np.stack([resampled(one, cropped, rules["logits_order"], apart) for one in logits])
    labels = np.full(full, decision["background_value"], np.uint8)
    if decision["kind"] == "argmax":
        values = np.zeros(len(decision["outputs"]), np.uint8)
        for one in decision["outputs"]:
            values[one["output"]] = one["value"]
        labels[box] = values[logits.argmax(axis=0)]
    else:
        for one in decision["outputs"]:
            labels[box][logits[one["output"]] > 0] = one["value"]
    return back(labels.transpose(np.argsort(order)))


if __name__ == "__main__":
    found = predict(sys.argv[1], sys.argv[2], float(sys.argv[4]) if len(sys.argv) > 4 else None)
    np.save(sys.argv[3], found)
