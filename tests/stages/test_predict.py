"""Prediction of folders: masks, record, resume, and files that cannot be predicted."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from autoseg.errors import DataError, DiskFull, OutOfMemory, RecordError, RunFolderError
from autoseg.inference import case as one_case
from autoseg.inference import ledger, sliding
from autoseg.inference.ledger import TABLE_FILE
from autoseg.records import (
    PREDICTIONS_FILE,
    Predictions,
)
from autoseg.stages.predict import PredictionInput
from tests.stages.predicting import MEASURING, Threshold, by_id, pixels_of, plan_of, predict, save_picture


@pytest.fixture(autouse=True)
def every_tile_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are constant, so that tiles can be counted."""
    monkeypatch.setattr(sliding, "KEPT_BYTES", 0)


def test_masks_have_the_images_name_and_format_and_the_targets_value(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predictions = predict(images, out, plan_of(2))
    assert sorted(file.name for file in out.iterdir()) == ["a.png", "b.png", "c.bmp", TABLE_FILE, PREDICTIONS_FILE]
    for name in ("a.png", "b.png", "c.bmp"):
        assert np.array_equal(pixels_of(out / name), 7 * pixels_of(images / name))
    assert Predictions.load(out / PREDICTIONS_FILE) == predictions
    first = predictions.cases[0]
    assert (first.id, first.status, first.mask, first.spacing_mm) == ("a", "done", "a.png", None)
    assert first.pixels == {"Head": 100, "All": 100}
    assert first.images == (str(images / "a.png"),)
    assert first.seconds is not None and first.seconds >= 0


def test_jpeg_becomes_png(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "images" / "a.jpg")
    predictions = predict(tmp_path / "images", tmp_path / "out", plan_of(2))
    assert predictions.cases[0].mask == "a.png"
    assert pixels_of(tmp_path / "out" / "a.png").shape == (20, 20)


def test_volumes_keep_their_geometry(tmp_path: Path) -> None:
    """An axis is reversed and another permuted, so the way through the canonical orientation is taken and undone."""
    array = np.zeros((9, 12, 20), np.float32)
    array[2:5, 3:7, 4:12] = 1  # 96 voxels
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-13.25, 7.5, 1 / 3))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    (tmp_path / "images").mkdir()
    for name in ("v_0000.nii.gz", "w_0000.nii"):
        sitk.WriteImage(image, str(tmp_path / "images" / name))
    predictions = predict(tmp_path / "images", tmp_path / "out", plan_of(3, (2.5, 0.8, 0.7)))
    assert [case.mask for case in predictions.cases] == ["v.nii.gz", "w.nii"]
    for case, source in zip(predictions.cases, ("v_0000.nii.gz", "w_0000.nii"), strict=True):
        assert case.pixels["Head"] == pytest.approx(96, abs=20)  # the spacings of x and y swap in canonical orientation
        mask, read = sitk.ReadImage(str(tmp_path / "out" / str(case.mask))), sitk.ReadImage(str(tmp_path / "images" / source))
        assert mask.GetSpacing() == read.GetSpacing()
        assert mask.GetOrigin() == read.GetOrigin()
        assert mask.GetDirection() == read.GetDirection()
        assert mask.GetPixelID() == sitk.sitkUInt8
        assert np.count_nonzero((sitk.GetArrayFromImage(mask) == 7) & (array == 1)) > 75
        assert case.spacing_mm == pytest.approx((2.5, 0.8, 0.7), rel=1e-6)


def test_a_bad_file_is_named_and_the_others_go_on(images: Path, tmp_path: Path) -> None:
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:40])
    np.zeros(3).tofile(images / "d.nii")
    told: list[tuple[str, str]] = []
    predictions = predict(images, tmp_path / "out", plan_of(2), on_case=lambda case: told.append((case.id, case.status)))
    assert by_id(predictions) == {"a": "done", "b": "failed", "c": "done", "d": "failed"}
    assert sorted(told) == [("a", "done"), ("b", "failed"), ("c", "done"), ("d", "failed")]
    failed = {case.id: case for case in predictions.cases}["b"]
    assert failed.mask is None and failed.error and "b.png" in failed.error
    assert not (tmp_path / "out" / "b.png").exists()


def test_wrong_channels_and_values_that_are_no_numbers_fail_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    array = np.zeros((9, 9, 9), np.float32)
    array[4, 4, 4] = np.nan
    for name in ("x_0000.mha", "x_0001.mha", "y_0000.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "images" / name))
    predictions = predict(tmp_path / "images", tmp_path / "out", plan_of(3, channels=("T1", "T2")))
    errors = {case.id: str(case.error) for case in predictions.cases}
    assert "2 values are NaN" in errors["x"]
    assert "channel" in errors["y"]


def test_a_volume_is_not_for_a_flat_model(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 9), np.float32)), str(tmp_path / "images" / "v.mha"))
    (case,) = predict(tmp_path / "images", tmp_path / "out", plan_of(2)).cases
    assert case.status == "failed" and "3D" in str(case.error)


def test_unknown_pixel_size_stops_a_model_in_mm(images: Path, tmp_path: Path) -> None:
    plan = plan_of(2, (0.5, 0.5))
    predictions = predict(images, tmp_path / "out", plan, spacings={"a": (0.25, 0.25), "b.png": (0.5, 0.5)})
    assert by_id(predictions) == {"a": "done", "b": "done", "c": "failed"}
    cases = {case.id: case for case in predictions.cases}
    assert (
        cases["c"].error == "its pixel size is unknown and this model works in mm; give --spacing CSV|MM or --assume-spacing MM"
    )
    assert cases["a"].spacing_mm == (0.25, 0.25) and cases["a"].pixels["Head"] == pytest.approx(100, abs=12)

    assumed = predict(images, tmp_path / "assumed", plan, assume_spacing=0.5)
    assert {case.spacing_mm for case in assumed.cases} == {(0.5, 0.5)}
    kept = predict(images, tmp_path / "kept", plan, unknown_spacing="keep")
    assert {(case.status, case.spacing_mm) for case in kept.cases} == {("done", None)}


def test_the_spacing_reaches_the_network(tmp_path: Path) -> None:
    """An image of 64x64 pixels of 0.25 mm is 32x32 of 0.5 mm: 3x3 tiles of 16 with half steps; unscaled there are 7x7."""
    (tmp_path / "images").mkdir()
    save_picture(tmp_path / "images" / "a.png", 5, (64, 64))
    for spacing, tiles in ((0.25, 9), (0.5, 49)):
        engine = Threshold()
        predict(tmp_path / "images", tmp_path / f"{tiles}", plan_of(2, (0.5, 0.5)), engine, spacings={"a": (spacing, spacing)})
        assert engine.tiles == MEASURING + tiles


def test_a_spacing_far_from_the_models_is_warned_of(images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spacings = {"a": (6.0, 6.0), "b": (0.11, 0.11), "c": (0.3, 0.3)}
    with caplog.at_level(logging.WARNING):
        predict(images, tmp_path / "out", plan_of(2, (0.1, 0.1)), spacings=spacings)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["a"]


def test_finished_cases_are_not_done_again(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", plan_of(2))
    (tmp_path / "out" / "b.png").unlink()
    engine = Threshold()
    predictions = predict(images, tmp_path / "out", plan_of(2), engine)
    assert by_id(predictions) == {"a": "done", "b": "done", "c": "done"}
    per_image = 4 * 3  # tiles of 16 in 40 and 30 pixels, half steps
    assert engine.tiles == MEASURING + per_image

    engine = Threshold()
    predict(images, tmp_path / "out", plan_of(2), engine, overwrite=True)
    assert engine.tiles == MEASURING + 3 * per_image


def test_a_changed_image_or_a_new_wish_is_done_again(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(images, out, plan_of(2))
    later = (out / "a.png").stat().st_mtime + 10
    os.utime(images / "a.png", (later, later))
    engine = Threshold()
    predict(images, out, plan_of(2), engine)
    assert engine.tiles == MEASURING + 12
    predictions = predict(images, out, plan_of(2), save=("overlay", "probabilities", "uncertainty"))
    assert [case.overlay for case in predictions.cases] == ["overlays/a.png", "overlays/b.png", "overlays/c.png"]
    assert pixels_of(out / "overlays" / "c.png").shape[2] == 3
    with np.load(out / "b.npz") as file:
        assert np.array_equal(file["probabilities"].argmax(0), pixels_of(images / "b.png"))
    assert [case.uncertainty for case in predictions.cases] == ["uncertainty/a.png", "uncertainty/b.png", "uncertainty/c.bmp"]
    assert pixels_of(out / "uncertainty" / "b.png").max() == 0  # one network whose mirrors all say the same


def test_evidence_is_noted_where_it_is_asked_for(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = predict(images, out, plan_of(2))
    assert all(case.evidence is None for case in plain.cases)
    engine = Threshold()
    asked = predict(images, out, plan_of(2), engine, evidence=True)
    assert engine.tiles == MEASURING + 3 * 12  # what was predicted without it is done again
    evidence = asked.cases[0].evidence
    assert evidence is not None and list(evidence.structures) == ["Head", "All"]
    head = evidence.structures["Head"]
    # all of the 1200 pixels lie in tiles that see the square or are constant; logits differ by 1 either way
    assert head.pixels == 100 and head.soft_dice is not None and head.mirror_dice is None
    likely, unlikely = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    assert 2 * 100 * likely / (100 * likely + 1100 * unlikely + 100) <= head.soft_dice <= 2 * likely / (likely + 1)
    assert evidence.structures["All"] == evidence.foreground == head
    assert (evidence.shape, evidence.medians) == ((40, 30), (1.0,))
    assert Predictions.load(out / PREDICTIONS_FILE) == asked
    engine = Threshold()
    predict(images, out, plan_of(2), engine, evidence=True)
    predict(images, out, plan_of(2), engine)
    assert engine.tiles == 0
    for case in plain.cases:
        assert case.mask_sha256 == next(other.mask_sha256 for other in asked.cases if other.id == case.id)


def test_probabilities_of_another_temperature_are_made_anew(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = predict(images, out, plan_of(2), save=("probabilities",))
    assert [case.temperature for case in plain.cases] == [1, 1, 1]
    warm = predict(images, out, plan_of(2), save=("probabilities",), temperature=2.0)
    assert [case.temperature for case in warm.cases] == [2, 2, 2]
    assert [case.mask_sha256 for case in warm.cases] == [case.mask_sha256 for case in plain.cases]
    with np.load(out / "a.npz") as file:
        assert file["probabilities"].max() == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-3)
    engine = Threshold()
    predict(images, out, plan_of(2), engine, save=("probabilities",), temperature=2.0)
    assert engine.tiles == 0


def test_what_was_done_before_a_kill_is_kept(images: Path, tmp_path: Path) -> None:
    """The engine dies with the third case: the first two are on disk and in the record, and are not done again."""

    class Dying(Threshold):
        def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
            if self.tiles >= MEASURING + 24:
                raise OutOfMemory("one tile does not fit")
            return super().__call__(tiles)

    with pytest.raises(OutOfMemory):
        predict(images, tmp_path / "out", plan_of(2), Dying())
    assert by_id(Predictions.load(tmp_path / "out" / PREDICTIONS_FILE)) == {"a": "done", "b": "done"}
    engine = Threshold()
    assert by_id(predict(images, tmp_path / "out", plan_of(2), engine)) == {"a": "done", "b": "done", "c": "done"}
    assert engine.tiles == MEASURING + 12


def test_the_work_of_another_model_is_not_mixed_in(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(images, out, plan_of(2))
    with pytest.raises(RunFolderError, match="another choice of folds"):
        predict(images, out, plan_of(2), folds=("0", "1"))
    assert predict(images, out, plan_of(2), run="moved/run").run == "moved/run", "a run may be moved"
    assert predict(images, out, plan_of(2), folds=("0", "1"), overwrite=True).folds == ("0", "1")


def test_folds_that_were_trained_further_predict_anew(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", plan_of(2))
    engine = Threshold("b" * 64)
    assert predict(images, tmp_path / "out", plan_of(2), engine).weights == ("b" * 64,)
    assert engine.tiles == MEASURING + 36


def test_images_and_unknown_masks_are_not_replaced(images: Path, tmp_path: Path) -> None:
    before = (images / "a.png").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match="would replace the image"):
            predict(images, images, plan_of(2), overwrite=overwrite)
    assert (images / "a.png").read_bytes() == before
    assert not (images / PREDICTIONS_FILE).exists()
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.png").write_bytes(b"somebody's work")
    with pytest.raises(RunFolderError, match=r"holds b\.png"):
        predict(images, out, plan_of(2))
    assert (out / "b.png").read_bytes() == b"somebody's work"


def test_inputs_made_by_hand_need_no_folder(images: Path, tmp_path: Path) -> None:
    inputs = [PredictionInput.of("case-1", [images / "a.png"]), PredictionInput.of("case-2", [images / "c.bmp"])]
    predictions = predict(inputs, tmp_path / "out", plan_of(2))
    assert [case.mask for case in predictions.cases] == ["case-1.png", "case-2.bmp"]
    with pytest.raises(DataError, match=r"a\.png and c\.bmp"):
        predict([inputs[0], PredictionInput.of("case-1", [images / "c.bmp"])], tmp_path / "two", plan_of(2))
    assert not (tmp_path / "two").exists()


def test_no_input_is_an_empty_record(tmp_path: Path) -> None:
    assert predict([], tmp_path / "out", plan_of(2)).cases == ()
    assert Predictions.load(tmp_path / "out" / PREDICTIONS_FILE).cases == ()


def test_the_networks_run_in_the_calling_thread(images: Path, tmp_path: Path) -> None:
    threads: set[int] = set()

    class Watched(Threshold):
        def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
            threads.add(threading.get_ident())
            return super().__call__(tiles)

    predict(images, tmp_path / "out", plan_of(2), Watched())
    assert threads == {threading.get_ident()}


def test_a_record_that_cannot_be_written_for_a_while_loses_nothing(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full while the cases are noted, and has room again at the end."""
    monkeypatch.setattr(ledger, "SECONDS_BETWEEN_SAVES", 0.0)
    save, full = Predictions.save, [False]

    def saved(self: Predictions, path: Path) -> None:
        if self.cases and len(self.cases) < 3:
            full[0] = True
            raise OSError(28, "No space left on device")
        save(self, path)

    monkeypatch.setattr(Predictions, "save", saved)
    predictions = predict(images, tmp_path / "out", plan_of(2))
    assert full[0] and "will be tried again" in caplog.text
    assert by_id(predictions) == {"a": "done", "b": "done", "c": "done"}
    assert all((tmp_path / "out" / str(case.mask)).is_file() for case in predictions.cases)


def test_masks_of_another_engine_are_made_anew_where_one_is_named(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", plan_of(2))
    for name, tiles in (("threshold", 0), (None, 0), ("other", MEASURING + 36)):
        engine = Threshold()
        predict(images, tmp_path / "out", plan_of(2), engine, engine_wanted=name)
        assert engine.tiles == tiles


def test_a_name_that_is_not_utf_8_stops_nobody(images: Path, tmp_path: Path) -> None:
    try:
        (images / "a.png").rename(os.fsdecode(os.fsencode(images) + b"/a\xff.png"))
    except OSError:
        pytest.skip("this file system takes no such name")
    predictions = predict(images, tmp_path / "out", plan_of(2))
    assert by_id(predictions) == {"a\\xff": "failed", "b": "done", "c": "done"}
    assert (
        Predictions.load(tmp_path / "out" / PREDICTIONS_FILE).cases[0].error
        == "its name is not UTF-8, so it cannot be recorded; rename the file"
    )


def test_a_damaged_record_names_the_way_out(images: Path, tmp_path: Path) -> None:
    predict(images, tmp_path / "out", plan_of(2))
    (tmp_path / "out" / PREDICTIONS_FILE).write_text('{"cases": [')
    with pytest.raises(RecordError, match="--overwrite to predict all again"):
        predict(images, tmp_path / "out", plan_of(2))


def test_a_full_disk_ends_the_work_and_says_so(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others would fail likewise, one after another."""
    begun: list[str] = []

    def full(path: Path, *_: object) -> None:
        begun.append(path.name)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("autoseg.volume.pictures.write_labels", full)
    with pytest.raises(DiskFull, match=r"a\.png: the disk is full; .*give the same command again"):
        predict(images, tmp_path / "out", plan_of(2))
    assert begun[0] == "a.png" and len(begun) < 3
    assert not list((tmp_path / "out").glob("*.png*")) and not list((tmp_path / "out").glob(".*.part"))
    monkeypatch.undo()
    assert by_id(predict(images, tmp_path / "out", plan_of(2))) == {"a": "done", "b": "done", "c": "done"}


def test_probabilities_that_find_no_room_do_not_end_the_program(tmp_path: Path) -> None:
    """A page of a file that cannot be written would: it is asked for before."""
    small = one_case._room((3, 4, 5), tmp_path)
    assert small.shape == (3, 4, 5) and small.dtype == np.float16
    with pytest.raises((DiskFull, OSError), match=r"disk is full|too large"):
        one_case._room((1 << 30, 1 << 20), tmp_path)
