"""A trained nnU-Net model as a run: its records, and masks that are the network's own."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import autoseg
from autoseg.errors import DataError, RecordError, RunFolderError
from autoseg.layouts.archives import extract
from autoseg.pipeline.models import opened_model
from autoseg.pipeline.nnunet_model import import_nnunet_model
from autoseg.records import NetworkSpec
from autoseg.run_folder import RunFolder
from autoseg.volume.files import read
from tests.engines import nnunet_networks
from tests.layouts.nnunet_files import configuration, dataset, network, plans, write_model

SPEC = NetworkSpec(
    rank=3,
    in_channels=1,
    out_channels=3,
    features=(4, 8, 8),
    strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
    kernel_sizes=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
    encoder_blocks=(2, 2, 2),
    decoder_convs=(2, 2),
)


IMAGE = np.random.default_rng(4).uniform(1, 9, (8, 16, 12)).astype(np.float32)  # one tile
SCORED = torch.from_numpy((IMAGE - IMAGE.mean()) / IMAGE.std())[None, None]


def trained(seed: int) -> nnunet_networks.Network:
    """Random weights that find every label somewhere in the image."""
    found = nnunet_networks.network(SPEC, seed)
    with torch.no_grad():
        found.decoder.seg_layers[-1].bias -= found(SCORED).mean((0, 2, 3, 4))
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folds 0 and `all` of one configuration, mirrored along no axis, on a grid of 1 mm."""
    place = tmp_path_factory.mktemp("nnunet") / "Dataset007_Organs" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    write_model(place, plans(c3d_fullres=configuration(spacing=[1.0, 1.0, 1.0])), dataset(), ("0", "all"))
    for seed, fold in enumerate(("0", "all")):
        content = nnunet_networks.checkpoint(trained(seed), inference_allowed_mirroring_axes=None)
        nnunet_networks.save(place / f"fold_{fold}" / "checkpoint_final.pth", content)
    return place


def test_the_masks_are_those_of_the_network(model: Path, tmp_path: Path) -> None:
    import_nnunet_model(model, tmp_path / "run")
    (tmp_path / "images").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(IMAGE), str(tmp_path / "images" / "a_0000.nii.gz"))
    masks = {}
    for fold in ("0", "full"):
        autoseg.predict(
            tmp_path / "run", tmp_path / "images", tmp_path / fold, folds=[fold], device="cpu", engine="torch-float32"
        )
        masks[fold] = read(tmp_path / fold / "a.nii.gz").array[0]
    for seed, fold in enumerate(("0", "full")):
        with torch.inference_mode():
            logits = trained(seed)(SCORED)[0]
        expected = logits.argmax(0).numpy()
        assert len(np.unique(expected)) == 3
        best, second = logits.sort(0, descending=True).values[:2].numpy()
        clear = best - second > 1e-3
        assert np.array_equal(masks[fold][clear], expected[clear])
    assert not np.array_equal(masks["0"], masks["full"])


def test_a_model_is_handed_on(model: Path, tmp_path: Path) -> None:
    """As a zip of ours, which predicts the same."""
    (tmp_path / "images").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(IMAGE), str(tmp_path / "images" / "a_0000.nii.gz"))
    masks = []
    for place in (model, autoseg.export_model(model, tmp_path / "model.zip")):
        autoseg.predict(place, tmp_path / "images", tmp_path / f"by {place.name}", device="cpu")
        masks.append(read(tmp_path / f"by {place.name}" / "a.nii.gz").array)
    assert len(np.unique(masks[0])) == 3
    assert np.array_equal(*masks)


def test_what_is_written(model: Path, tmp_path: Path) -> None:
    before = sorted(model.rglob("*"))
    folder = import_nnunet_model(model, tmp_path / "run")
    assert sorted(model.rglob("*")) == before
    assert sorted(path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file()) == [
        "dataset.json",
        "model.json",
        "models/3d_fullres/fold_0/weights.safetensors",
        "models/3d_fullres/fold_full/weights.safetensors",
        "plan.json",
    ]
    record, plan = folder.model(), folder.plan()
    (trained,) = record.configurations
    assert (trained.name, [fold.fold for fold in trained.folds], record.default) == ("3d_fullres", ["0", "full"], "3d_fullres")
    assert (trained.preparation, record.spacing) == (plan.configurations["3d_fullres"].digests()["preparation"], "required")
    assert plan.decisions[0].numbers == {"plans": "nnUNetPlans", "trainer": "nnUNetTrainer"}
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_two_imports_are_the_same(model: Path, tmp_path: Path) -> None:
    """Predictions of a model that is imported anew each time can be continued: its weights have the same hash."""
    with opened_model(model) as first, opened_model(model) as second:
        assert first.root != second.root
        assert first.model() == second.model()
        place = first.root
    assert not place.exists()


def zipped(source: Path, path: Path, rename: Callable[[str], str] = str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                archive.writestr(zipfile.ZipInfo(rename(file.relative_to(source).as_posix())), file.read_bytes())
    return path


def test_an_export_as_a_zip(model: Path, tmp_path: Path) -> None:
    archive = zipped(model.parents[1], tmp_path / "export.zip")
    folder = import_nnunet_model(archive, tmp_path / "there" / "run")
    assert folder.dataset().root == str(archive)
    assert folder.plan().dataset_digest == folder.dataset().digest()
    with opened_model(model) as direct:
        assert folder.model() == direct.model()
    assert sorted(path.name for path in tmp_path.rglob("*") if "export" in path.name or path.name.startswith(".")) == [
        "export.zip"
    ]


@pytest.mark.parametrize("leading", ["../", "/tmp/", "a/../../"])
def test_a_zip_that_leads_out_of_its_folder(model: Path, tmp_path: Path, leading: str) -> None:
    (tmp_path / "in").mkdir()
    archive = zipped(model, tmp_path / "in" / "export.zip", lambda name: leading + name)
    with pytest.raises(DataError, match="leads out of the folder"):
        import_nnunet_model(archive, tmp_path / "out" / "run")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["export.zip"]


def test_a_zip_of_more_than_it_can_sensibly_hold(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plans.json", bytes(10**6))
    with pytest.raises(DataError, match=r"bomb.zip: holds 0.0 GB, more than the 0.0 GB that such an archive can sensibly hold"):
        extract(tmp_path / "bomb.zip", tmp_path / "out", lambda name: True, most_bytes=10**6 - 1)
    assert not (tmp_path / "out").exists()
    extract(tmp_path / "bomb.zip", tmp_path / "out", lambda name: True, most_bytes=10**6)
    assert (tmp_path / "out" / "plans.json").stat().st_size == 10**6


def test_a_damaged_zip_and_no_zip(model: Path, tmp_path: Path) -> None:
    archive = zipped(model, tmp_path / "export.zip")
    content = bytearray(archive.read_bytes())
    content[2000:2100] = bytes(100)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"export.zip: cannot be unpacked"):
        import_nnunet_model(archive, tmp_path / "run")
    (tmp_path / "text.zip").write_text("no zip")
    for name in ("text.zip", "absent.zip"):
        with pytest.raises(DataError, match="is neither a folder nor a zip"):
            import_nnunet_model(tmp_path / name, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_destination_that_holds_something(model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    with pytest.raises(RunFolderError, match="holds something already"):
        import_nnunet_model(model, tmp_path / "run")
    (tmp_path / "run" / "notes.txt").unlink()
    assert import_nnunet_model(model, tmp_path / "run") == RunFolder(tmp_path / "run")


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    other = configuration(architecture=network(features_per_stage=[4, 8, 16]))
    place = write_model(tmp_path / "model", plans(c3d_fullres=other), dataset())
    nnunet_networks.save(place / "fold_0" / "checkpoint_final.pth", nnunet_networks.checkpoint(nnunet_networks.network(SPEC)))
    with pytest.raises(RecordError, match=r"of another shape: encoder\.stages\.2\.0\.convs\.0\.conv\.weight"):
        import_nnunet_model(place, tmp_path / "run")
    assert list(tmp_path.iterdir()) == [place]


def test_the_real_model(shared_data: Path, tmp_path: Path) -> None:
    """An image with the mask and the probabilities that nnU-Net made of it.

    nnU-Net sums logits of tiles as float16, here by up to 4e-4 in probability. Labels that neither mask holds do not count.
    """
    place = shared_data / "nnunet_model"
    if not place.is_dir():
        pytest.skip("the trained model is not at hand")
    import_nnunet_model(place / "model", tmp_path / "run")
    case = "hippocampus_001"
    autoseg.predict(
        tmp_path / "run",
        place / "images" / f"{case}_0000.nii.gz",
        tmp_path,
        device="cpu",
        save=["probabilities"],
        profile="best",
        engine="torch-float32",
    )
    ours, theirs = (read(folder / f"{case}.nii.gz").array for folder in (tmp_path, place / "outputs"))
    for value in np.union1d(ours, theirs)[1:]:
        both = np.count_nonzero((ours == value) & (theirs == value))
        assert 2 * both / (np.count_nonzero(ours == value) + np.count_nonzero(theirs == value)) >= 0.999
    ours, theirs = (np.load(folder / f"{case}.npz")["probabilities"] for folder in (tmp_path, place / "outputs"))
    assert np.abs(ours.astype(np.float32) - theirs).max() < 1e-3


def test_a_model_predicts_where_it_lies(model: Path, tmp_path: Path) -> None:
    """A folder, a zip, and the run that becomes of it give the same masks; what is neither is refused as no run."""
    images = tmp_path / "images"
    images.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(IMAGE), str(images / "a_0000.nii.gz"))
    run = import_nnunet_model(model, tmp_path / "run").root
    sources = {"folder": model, "zip": zipped(model, tmp_path / "export.zip"), "run": run}
    masks = {}
    for name, source in sources.items():
        predictions = autoseg.predict(source, images, tmp_path / name, device="cpu")
        assert predictions.run == str(source)
        masks[name] = read(tmp_path / name / "a.nii.gz").array
    assert np.array_equal(masks["folder"], masks["run"]) and np.array_equal(masks["zip"], masks["run"])
    assert len(np.unique(masks["run"])) > 1
    with pytest.raises(RunFolderError):
        autoseg.predict(images, images, tmp_path / "out")


def test_a_run_without_data_says_what_it_is(model: Path, tmp_path: Path) -> None:
    run = import_nnunet_model(model, tmp_path / "run").root
    for verb in (partial(autoseg.train, fold="0"), autoseg.status, autoseg.benchmark):
        with pytest.raises(RunFolderError, match="an imported model, which came without its data"):
            verb(run)
