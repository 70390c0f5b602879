"""Faulty labels come first, each with what is wrong with it; what cannot be judged is told with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.records import PredictedCase, Structure
from autoseg.stages.doctor import examine, ranked, reservations
from tests.stages.doctor.sets import FAULTY, SHAPE, write_set


def test_faulty_labels_come_first_with_their_faults(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path)
    counted: list[int] = []
    examinations = examine(dataset, predictions, folder, on_done=counted.append)
    cases = ranked(dataset, examinations, "selection")
    assert counted[-1] == len(cases) == 20 and examinations.not_judged == ()
    assert {case.id for case in cases[:4]} == set(FAULTY)
    assert [case.rank for case in cases] == list(range(1, 21))
    assert {case.id: [(one.kind, one.structures) for one in case.findings] for case in cases[:4]} == {
        "exchanged": [("exchanged", ("A", "B"))],
        "shifted": [("shifted", ("A", "B"))],
        "cut": [("part missing", ("B",))],
        "empty": [("structure missing", ("A",))],
    }
    assert all(not case.findings for case in cases[4:])
    worst = next(case for case in cases if case.id == "exchanged")
    assert worst.fold == "1" and worst.mask == "selection/fold_1/exchanged.png"
    assert worst.structures["A"].dice == 0 and worst.softmin < min(case.softmin for case in cases[4:])
    empty = next(case for case in cases if case.id == "empty")
    assert empty.structures["A"].label_pixels == 0 and empty.structures["A"].distance is None


def test_processes_find_the_same(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=6)
    alone, together = (examine(dataset, predictions, folder, workers=workers) for workers in (0, 2))
    assert alone == together


def test_cases_that_cannot_be_judged_are_told(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=6)
    failed = PredictedCase(id="case_00", images=("x",), status="failed", error="truncated")
    (folder / "fold_1" / "case_01.npz").write_bytes(b"no archive")
    others = [case for case in predictions.cases if case.id not in ("case_00", "case_02")]
    unlabelled = [case.model_copy(update={"label": None}) if case.id == "case_03" else case for case in dataset.cases]
    found = examine(
        dataset.model_copy(update={"cases": tuple(unlabelled)}),
        predictions.model_copy(update={"cases": (failed, *others)}),
        folder,
    )
    told = {one.id: (one.reason, one.failed) for one in found.not_judged}
    assert told["case_00"] == ("its prediction failed: truncated", True)
    assert told["case_02"] == ("no trained fold has it among its validation cases", False)
    assert told["case_03"] == ("it has no label", False)
    assert told["case_01"][1] and "delete it to predict the case again" in told["case_01"][0]
    assert [case.id for case in found.cases] == ["case_04", "case_05", *FAULTY]


def test_pixels_that_nobody_annotated_do_not_count(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path)
    whole = examine(dataset, predictions, folder)
    scheme = {"values": {0: 3, 1: 1, 2: 2}}
    ignoring = dataset.model_copy(
        update={"ignore_value": 3, "encodings": {"default": dataset.encodings["default"].model_copy(update=scheme)}}
    )
    found = examine(ignoring, predictions, folder)
    cut = [case.id for case in dataset.cases].index("cut")
    assert whole.examined[cut].structures["B"].dice < 0.9
    assert found.examined[cut].structures["B"].dice > 0.95 and found.examined[cut].findings == ()


def test_regions_that_overlap(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=6)
    targets = (Structure(name="both", values=(1, 2), output_value=10), Structure(name="inner", values=(2,), output_value=20))
    for case in predictions.cases:
        file = folder / str(case.probabilities)
        exclusive = np.load(file)["probabilities"]
        np.savez_compressed(file, probabilities=np.stack([exclusive[1:].max(0), exclusive[2]]))
    found = examine(
        dataset.model_copy(update={"targets": targets, "regions": True}),
        predictions.model_copy(update={"targets": targets, "regions": True}),
        folder,
    )
    by_id = {case.id: one for case, one in zip(found.cases, found.examined, strict=True)}
    assert by_id["exchanged"].structures["both"].dice > 0.95 and by_id["exchanged"].structures["inner"].dice < 0.1
    assert by_id["case_00"].structures["inner"].expected_dice == pytest.approx(0.96, abs=0.04)


def test_an_empty_label_is_told_as_such(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=6)
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(tmp_path / "labels" / "case_02.png")
    cases = ranked(dataset, examine(dataset, predictions, folder), "selection")
    (found,) = next(case for case in cases if case.id == "case_02").findings
    assert (found.kind, found.structures) == ("nothing labelled", ("A", "B"))
    assert found.told.startswith("nothing at all is labelled, and the network sees A (")


def test_a_structure_that_the_networks_do_not_know_accuses_no_label(tmp_path: Path) -> None:
    dataset, predictions, folder = write_set(tmp_path, sound=20)
    for case in predictions.cases:  # B is never found, and the networks are sure of that
        file = folder / str(case.mask)
        mask = np.asarray(Image.open(file)).copy()
        mask[mask == 20] = 0
        Image.fromarray(mask).save(file)
        probabilities = np.load(folder / str(case.probabilities))["probabilities"].copy()
        probabilities[0] += probabilities[2]
        probabilities[2] = 0
        np.savez_compressed(folder / str(case.probabilities), probabilities=probabilities)
    examinations = examine(dataset, predictions, folder)
    cases = ranked(dataset, examinations, "selection")
    assert all(case.structures["B"].suspicion is None for case in cases)
    assert not [found for case in cases for found in case.findings if found.structures == ("B",)]
    assert reservations(examinations) == ("B is hardly ever found by these networks, so its labels are not judged; train longer",)
    assert "few to tell" in reservations(examine(*write_set(tmp_path / "small", sound=3)))[0]
