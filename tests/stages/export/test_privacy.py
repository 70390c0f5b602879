"""What counts as a name that must not be handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.records import Case
from autoseg.run_folder import RunFolder
from autoseg.stages.export.privacy import Names, handed_over_plan, without_cases
from tests.stages.export.runs import PATIENT, SUBJECT, dataset_of, picture_run, volume_run


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    dataset = dataset_of(RunFolder(picture_run(tmp_path_factory.mktemp("run") / "run", folds=("0",))).plan())
    more = (
        Case(id="scan of Bo", subject="17", images=("images/scan of Bo.png",), group="ward-3"),
        Case(id="002", subject="2", images=("images/002.png",)),
    )
    return Names(dataset.model_copy(update={"cases": (*dataset.cases, *more)}))


@pytest.mark.parametrize(
    "text",
    [
        f"as {PATIENT} has it",
        f"({PATIENT.upper()}), and others",
        f"subject {SUBJECT}.",
        "the largest, scan of Bo, has 5",
        "all of ward-3",
        f"read images/{PATIENT}_US.png",
        "from /home/radiology/trial-7/data",
        "weights of /mnt/other/run",
        r"taken from C:\runs\7",
        r"\\server\share",
    ],
)
def test_names_and_paths_are_found(names: Names, text: str) -> None:
    assert names.are_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "17 networks and 002 others were compared",  # figures, though there is a subject 17 and a case 002
        "56x40 patches, and/or 3 mm / 2",
        "see https://doi.org/10.1038/s41592-020-01008-z",
        "training.patch_size=40,56,40",
        "Dice 0.97; 25% of the median image",
        "Miller did not write this",
    ],
)
def test_figures_and_sentences_are_not(names: Names, text: str) -> None:
    assert not names.are_in(text)


def test_a_plan_keeps_its_reasons(tmp_path: Path) -> None:
    folder = RunFolder(volume_run(tmp_path / "run", cascade=True))
    plan, dataset = folder.plan(), without_cases(folder.dataset())
    whole = handed_over_plan(plan, ("3d_lowres", "3d_cascade_fullres"), dataset, Names(folder.dataset()))
    assert whole.default == "3d_cascade_fullres"
    assert whole.dataset_digest == dataset.digest()
    for name, configuration in whole.configurations.items():
        assert configuration.digests() == plan.configurations[name].digests()
        assert [decision.name for decision in configuration.decisions] == ["spacing"]
    first = handed_over_plan(plan, ("3d_lowres",), dataset, Names(folder.dataset()))
    first.save(tmp_path / "plan.json")
    assert type(first).load(tmp_path / "plan.json").configurations["3d_lowres"].next_stage is None
