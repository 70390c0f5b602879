"""Models that are handed over predict what they predicted at home, and tell nothing of whom they were trained on."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from autoseg import pipeline
from autoseg.engines.torch_engine import load_networks
from autoseg.errors import AutosegError, DataError, PlanError, RunFolderError
from autoseg.interrupts import signal_stack_kept
from autoseg.run_folder import RunFolder
from autoseg.stages.export import archive, graphs
from autoseg.volume.files import read
from tests.conftest import exit_code
from tests.stages.export.runs import PATIENT, SUBJECT, image_for, mask_of, picture_run, unzipped, volume_run

FOREIGN_PROGRAM = Path(__file__).parents[1] / "stages" / "export" / "foreign_program.py"
WITHOUT_US = (
    "import runpy, sys; sys.modules['autoseg'] = sys.modules['torch'] = None; del sys.argv[0]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
RUNS: dict[str, Callable[[Path], Path]] = {
    "pictures": picture_run,
    "volumes": volume_run,
    "labels of volumes": lambda root: volume_run(root, regions=False),
    "two channels": lambda root: volume_run(root, channels=2),
    "slices of volumes": lambda root: volume_run(root, slices=True),
}


@pytest.fixture(scope="module", params=list(RUNS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return RUNS[request.param](tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_run(tmp_path_factory.mktemp("heads") / "run")


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume_run(tmp_path_factory.mktemp("cascade") / "run", cascade=True)


@pytest.fixture(scope="module")
def handed_over(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.export_model(heads, tmp_path_factory.mktemp("zip") / "model.zip")


@pytest.mark.parametrize("profile", ["best", "balanced", "fast"])
def test_a_zip_predicts_the_very_same_masks(run: Path, tmp_path: Path, profile: str) -> None:
    model = pipeline.export_model(run, tmp_path / "model.zip")
    here, there = (mask_of(one, tmp_path, run, profile=profile) for one in (run, model))
    assert len(np.unique(here)) == 3
    assert np.array_equal(here, there)


def test_both_stages_of_a_cascade_are_in_a_zip(cascade: Path, tmp_path: Path) -> None:
    model = pipeline.export_model(cascade, tmp_path / "model.zip")
    assert np.array_equal(mask_of(cascade, tmp_path, cascade), mask_of(model, tmp_path, cascade))
    folder = RunFolder(unzipped(model, tmp_path / "inside"))
    held = {one.name: [fold.fold for fold in one.folds] for one in folder.model().configurations}
    assert held == {"3d_lowres": ["0", "1"], "3d_cascade_fullres": ["1"]}


def test_the_first_stage_alone(cascade: Path, tmp_path: Path) -> None:
    model = pipeline.export_model(cascade, tmp_path / "model.zip", configuration="3d_lowres")
    assert list(RunFolder(unzipped(model, tmp_path / "inside")).plan().configurations) == ["3d_lowres"]
    assert np.array_equal(mask_of(cascade, tmp_path, cascade, configuration="3d_lowres"), mask_of(model, tmp_path, cascade))


@pytest.mark.parametrize("form", ["onnx", "openvino", "torchscript", "monai-bundle"])
def test_a_graph_cannot_stand_for_a_second_stage(cascade: Path, tmp_path: Path, form: str) -> None:
    if form in ("onnx", "openvino"):
        pytest.importorskip("onnx" if form == "onnx" else "openvino")
    with pytest.raises(RunFolderError, match=r"second stage of a cascade.*masks of 3d_lowres.*--to zip"):
        pipeline.export_model(cascade, tmp_path / "model.zip", to=form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["zip", "torchscript", "monai-bundle"])
def test_no_name_of_a_patient_leaves_the_house(run: Path, tmp_path: Path, form: str) -> None:
    text = ""
    with zipfile.ZipFile(pipeline.export_model(run, tmp_path / "model.zip", to=form)) as opened:
        for member in opened.namelist():
            content = opened.read(member)
            text += member + content.decode("utf-8", errors="ignore")
            assert PATIENT.encode() not in content and SUBJECT.encode() not in content
    assert "radiology" not in text and str(run) not in text
    assert "trial-7" not in text
    assert form == "monai-bundle" or "The grid is that of the median image." in text, "reasons without names are handed over"
    assert not {"As large as", "Like "} & set(text.split('"'))


def test_a_zip_holds_what_predicts_and_nothing_else(handed_over: Path, heads: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(handed_over) as opened:
        assert opened.namelist() == [
            "MODEL_CARD.md",
            "card.json",
            "dataset.json",
            "model.json",
            "models/2d/fold_0/weights.safetensors",
            "models/2d/fold_1/weights.safetensors",
            "plan.json",
        ]
        assert json.loads(opened.read("dataset.json"))["cases"] == []
    pipeline.export_model(heads, tmp_path / "again.zip", overwrite=True)
    pipeline.export_model(heads, tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == handed_over.read_bytes(), "two exports are the same"


def test_folds_are_chosen(heads: Path, tmp_path: Path) -> None:
    def folds(**options: object) -> list[str]:
        out = pipeline.export_model(heads, tmp_path / "model.zip", overwrite=True, **options)  # type: ignore[arg-type]
        with zipfile.ZipFile(out) as opened:
            return sorted({name.split("/")[2] for name in opened.namelist() if "fold_" in name})

    assert folds() == ["fold_0", "fold_1"]
    assert folds(folds=["1"]) == ["fold_1"]
    assert folds(profile="fast") == ["fold_0"]
    with pytest.raises(RunFolderError, match="fold 4 is not trained"):
        folds(folds=["4"])


def test_a_zip_is_imported_and_handed_on(handed_over: Path, heads: Path, tmp_path: Path) -> None:
    run = pipeline.import_model(handed_over, tmp_path / "run")
    assert np.array_equal(mask_of(run, tmp_path, heads), mask_of(handed_over, tmp_path, heads))
    assert RunFolder.open(run).dataset().cases == ()
    again = pipeline.export_model(run, tmp_path / "model.zip")
    assert again.read_bytes() == handed_over.read_bytes()
    with pytest.raises(RunFolderError, match="holds something already"):
        pipeline.import_model(handed_over, run)
    with pytest.raises(RunFolderError, match="came without its data"):
        pipeline.predict(handed_over, "held-out", tmp_path / "out")


def test_names_of_files(heads: Path, handed_over: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pipeline.export_model(heads) == Path("run-2d.zip")
    assert pipeline.export_model(heads, to="torchscript") == Path("run-2d.torchscript.zip")
    assert pipeline.export_model(Path("run-2d.zip"), to="torchscript", overwrite=True) == Path("run-2d.torchscript.zip")
    with pytest.raises(RunFolderError, match=r"run-2d.zip exists already; give another name, or --overwrite"):
        pipeline.export_model(heads)
    with pytest.raises(RunFolderError, match="is a folder"):
        pipeline.export_model(heads, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-2d.torchscript.zip", "run-2d.zip"]


def test_what_cannot_be_exported(heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="cannot be exported to keras; there are zip, onnx"):
        pipeline.export_model(heads, tmp_path / "model.zip", to="keras")
    monkeypatch.setattr(graphs, "find_spec", lambda name: None if name == "onnxscript" else importlib.util.find_spec("json"))
    with pytest.raises(PlanError, match=r'needs onnxscript, not installed here: pip install "autoseg-toolkit\[onnx\]"'):
        pipeline.export_model(heads, tmp_path / "model.zip", to="onnx")
    with pytest.raises(RunFolderError, match="no fold of configuration 3d_fullres is trained"):
        pipeline.export_model(heads, tmp_path / "model.zip", configuration="3d_fullres")
    folder = RunFolder(heads)
    RunFolder(tmp_path / "bare").save(folder.dataset(), folder.plan())
    with pytest.raises(RunFolderError, match="has no trained model yet"):
        pipeline.export_model(tmp_path / "bare", tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


def test_an_export_that_fails_leaves_the_old_file(heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.zip"
    out.write_text("precious")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="the disk is full; what was there before is intact"):
        pipeline.export_model(heads, out, overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_files_that_are_no_model(heads: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as opened:
        opened.writestr("a.png", b"no")
    (tmp_path / "notes.txt").write_text("no")
    exported = pipeline.export_model(heads, tmp_path / "graphs.zip", to="torchscript")
    for path, words in (
        (tmp_path / "photos.zip", "holds no model"),
        (tmp_path / "notes.txt", "is a file, but no zip"),
        (exported, "holds networks for other programs"),
    ):
        with pytest.raises(DataError, match=words):
            pipeline.predict(path, tmp_path, tmp_path / "out")
    with pytest.raises(AutosegError, match=r"absent\.zip does not exist; give a run, a zip"):
        pipeline.predict(tmp_path / "absent.zip", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("profile", ["best", "fast"])
def test_another_program_does_as_the_description_says(run: Path, tmp_path: Path, profile: str) -> None:
    """In a process of its own, where neither autoseg nor torch can be imported."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    model = pipeline.export_model(run, tmp_path / "model.zip", to="onnx", profile=profile)  # type: ignore[arg-type]
    images, spacing = image_for(run, tmp_path / "images")
    words = [
        str(FOREIGN_PROGRAM),
        str(model),
        ",".join(map(str, images)),
        str(tmp_path / "mask.npy"),
        *([str(spacing)] if spacing else []),
    ]
    subprocess.run([sys.executable, "-c", WITHOUT_US, *words], check=True, env=ALONE, cwd=tmp_path)
    theirs, ours = np.load(tmp_path / "mask.npy"), mask_of(run, tmp_path, run, profile=profile)
    assert theirs.shape == ours.shape
    assert len(np.unique(ours)) == 3
    assert np.mean(theirs == ours) >= 0.999


def tiles_and_logits(run: Path, form: str, folder: Path) -> tuple[list[Path], torch.Tensor, list[torch.Tensor]]:
    """The exported graphs, tiles, and what torch makes of these, fold by fold."""
    held = unzipped(pipeline.export_model(run, folder / "model.zip", to=form), folder / "inside")
    home, plan = RunFolder(run), RunFolder(run).plan()
    configuration, (trained,) = plan.configurations[plan.default], home.model().configurations
    tiles = torch.randn(3, configuration.network.in_channels, *configuration.training.patch_size)
    networks = load_networks(configuration.network, [(run / fold.weights, fold.sha256) for fold in trained.folds])
    with torch.no_grad():
        logits = [network.eval()(tiles) for network in networks]
    told = json.loads((held / "inference.json").read_text())
    assert [one["fold"] for one in told["networks"]] == [fold.fold for fold in trained.folds]
    assert RunFolder(held).plan().configurations[plan.default].preparation == configuration.preparation
    return [held / one["file"] for one in told["networks"]], tiles, logits


def test_openvino_computes_the_same(run: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    files, tiles, logits = tiles_and_logits(run, "openvino", tmp_path)
    for file, expected in zip(files, logits, strict=True):
        with signal_stack_kept():
            compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compiled({"image": tiles.numpy()})["logits"]
        assert np.abs(found - expected.numpy()).max() < 1e-4 * expected.abs().max()


def test_torchscript_computes_the_same(run: Path, tmp_path: Path) -> None:
    files, tiles, logits = tiles_and_logits(run, "torchscript", tmp_path)
    for file, expected in zip(files, logits, strict=True):
        with torch.no_grad():
            found = torch.jit.load(str(file))(tiles)
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def in_monai(model: Path, folder: Path, images: Path, pixel_mm: float | None) -> np.ndarray:
    """The mask that a bundle's `run` writes for the one image in a folder."""
    from monai.bundle import ConfigParser

    bundle = unzipped(model, folder / "inside") / model.stem
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    parser["bundle_root"], parser["dataset_dir"], parser["output_dir"] = str(bundle), str(images), str(folder / "monai")
    if pixel_mm is not None:
        parser["pixel_size_mm"] = {"new.png": pixel_mm}
    parser.parse()
    parser.get_parsed_content("imports")
    parser.get_parsed_content("run")
    assert torch.is_grad_enabled(), "whoever runs it may go on training"
    (written,) = (folder / "monai").iterdir()
    if written.suffix == ".png":
        return np.asarray(Image.open(written))
    source = min(images.iterdir())
    assert np.allclose(nibabel.load(written).affine, nibabel.load(source).affine)
    return np.asarray(nibabel.load(written).dataobj).transpose()


@pytest.mark.parametrize("profile", ["best", "fast"])
@pytest.mark.parametrize("grid", ["the network's", "another"])
def test_a_bundle_runs_in_monai(run: Path, tmp_path: Path, profile: str, grid: str) -> None:
    """A single tile on the network's own grid gives the same mask; elsewhere MONAI weights tiles and resamples in its way."""
    images, alike = tmp_path / "images", grid == "the network's"
    if RunFolder(run).plan().rank == 2:
        image_for(run, images, size=(32, 28) if alike else (80, 128))
        pixel_mm = 1.1 if alike else 0.9
    else:
        spacing = (4.4, 1.3, 1.3) if alike else (4.0, 1.0, 1.1)
        _, pixel_mm = image_for(run, images, size=(4, 16, 14) if alike else (10, 40, 40), spacing_mm=spacing)
    model = pipeline.export_model(run, tmp_path / "heads.zip", to="monai-bundle", profile=profile)  # type: ignore[arg-type]
    (case,) = pipeline.predict(run, images, tmp_path / "out", spacing=pixel_mm, profile=profile, device="cpu").cases  # type: ignore[arg-type]
    ours = read(tmp_path / "out" / (case.mask or "")).array[0]
    theirs = in_monai(model, tmp_path, images, pixel_mm)
    assert theirs.shape == ours.shape
    assert set(np.unique(theirs)) == set(np.unique(ours))
    assert np.mean(theirs == ours) > (0.999 if alike else 0.75)


def test_the_command_line(heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model.zip"
    assert exit_code("export", str(heads), str(out), "--fold", "1") == 0
    assert f"autoseg predict {out}" in " ".join(capsys.readouterr().out.split())
    assert exit_code("export", str(heads), str(out)) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert exit_code("export", str(heads), str(out), "--to", "torchscript", "--overwrite") == 0
    assert exit_code("import-model", str(out), str(tmp_path / "run")) == 2
    assert "other programs" in capsys.readouterr().err


def test_changed_weights_are_found_when_a_model_is_taken_in(handed_over: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(handed_over) as source, zipfile.ZipFile(changed, "w") as sink:
        for member in source.namelist():
            content = bytearray(source.read(member))
            if member.endswith(".safetensors"):
                content[-1] ^= 1
            sink.writestr(member, bytes(content))
    with pytest.raises(DataError, match=r"changed\.zip: the weights of fold 0 are not those of its record"):
        pipeline.import_model(changed, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.zip"]
