"""Each kind of finding in a label that has just that fault, and none in one that has not."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics import label_findings
from autoseg.metrics.label_findings import (
    LabelledCase,
    Shift,
    best_shift,
    exchanged,
    of_another_image,
    on_one_side,
    parts,
    shifted,
    told_size,
)
from autoseg.metrics.label_quality import Disagreement, disagreement
from autoseg.metrics.structures import ScoredStructure

HEAD = ScoredStructure("head", frozenset({1}), frozenset({255}), True)
A = ScoredStructure("A", frozenset({1}), frozenset({10}), True)
B = ScoredStructure("B", frozenset({2}), frozenset({20}), True)


def disc(centre: tuple[int, int], radius: int, shape: tuple[int, int] = (100, 120)) -> np.ndarray:
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def head(label: np.ndarray, model: np.ndarray, spacing: tuple[float, ...] | None = (0.5, 0.5)) -> LabelledCase:
    return LabelledCase(label.astype(np.int16), np.where(model, 255, 0).astype(np.uint8), (HEAD,), spacing)


def figures_of(case: LabelledCase, sure: float = 1.0) -> dict[str, Disagreement]:
    found = {}
    for one in case.structures:
        model = case.model_of(one)
        found[one.name] = disagreement(case.label_of(one), model, np.where(model, sure, 1 - sure), case.spacing_mm)
    return found


def pieces(case: LabelledCase, probability: np.ndarray | None = None, structure: ScoredStructure = HEAD) -> list[tuple[str, str]]:
    label, model = case.label_of(structure), case.model_of(structure)
    found = parts(case, structure, label, model, model.astype(np.float32) if probability is None else probability)
    return [(one.kind, one.told) for one in found]


def test_shift_is_found_with_its_length_and_gain() -> None:
    label, model = disc((50, 50), 20), disc((46, 53), 20)
    before = 2 * np.count_nonzero(label & model) / (label.sum() + model.sum())
    found = best_shift(head(label, model, (0.5, 2.0)))
    assert found is not None and found.pixels == (-4, 3)
    assert found.mm == pytest.approx(np.hypot(2, 6))
    assert (found.before, found.after) == (pytest.approx(before), pytest.approx(1.0))
    told = shifted(head(label, model))
    assert told is not None and told.kind == "shifted" and told.structures == ("head",)
    assert "2.5 mm (y -4, x +3 pixels)" in told.told and f"from {before:.2f} to 1.00" in told.told


def test_shift_of_a_large_image_is_searched_on_fewer_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_findings, "SEARCH_PIXELS", 600)
    found = best_shift(head(disc((50, 50), 20), disc((44, 59), 20), None))
    assert found is not None and found.pixels == (-6, 9) and found.mm is None


def test_shift_of_a_volume_moves_all_structures_together() -> None:
    labels = np.zeros((12, 20, 20), np.int16)
    labels[3:7, 4:10, 4:10], labels[3:7, 10:15, 4:10] = 1, 2
    painted = np.roll(labels, (1, 0, 2), (0, 1, 2)).astype(np.uint8) * 10
    found = best_shift(LabelledCase(labels, painted, (A, B), (3.0, 1.0, 1.0)))
    overlap = 3 * 11 * 4  # of 4 x 11 x 6
    assert found == Shift((1, 0, 2), pytest.approx(13**0.5), pytest.approx(overlap / (4 * 11 * 6)), pytest.approx(1.0))


@pytest.mark.parametrize("model", [disc((50, 50), 30), disc((50, 51), 30), disc((50, 50), 34), np.zeros((100, 120), bool)])
def test_no_shift_where_moving_hardly_helps(model: np.ndarray) -> None:
    assert shifted(head(disc((50, 50), 30), model)) is None


def two(swap: bool) -> LabelledCase:
    labels = np.zeros((30, 30), np.int16)
    labels[5:15, 5:12], labels[5:15, 12:25] = 1, 2
    painted = (labels * 10).astype(np.uint8)
    if swap:
        labels = np.array([0, 2, 1], np.int16)[labels]
    return LabelledCase(labels, painted, (A, B), None)


def test_exchanged_structures_are_told_with_the_gain() -> None:
    case = two(swap=True)
    found = exchanged(case, figures_of(case))
    assert found is not None and (found.kind, found.structures) == ("exchanged", ("A", "B"))
    assert found.told.endswith("rises from 0.00 to 1.00")
    assert exchanged(two(swap=False), figures_of(two(swap=False))) is None


def test_label_of_another_image() -> None:
    case = head(disc((25, 25), 15), disc((70, 90), 20))
    found = of_another_image(figures_of(case))
    assert found is not None and found.kind == "other image"
    assert of_another_image(figures_of(case, sure=0.6)) is None, "a network that is unsure proves nothing"
    assert of_another_image(figures_of(head(disc((50, 50), 20), disc((50, 55), 20)))) is None
    assert of_another_image(figures_of(head(disc((50, 50), 20), np.zeros((100, 120), bool)))) is None, "told as not seen"


def test_structure_on_one_side_is_told_with_its_size() -> None:
    nothing, ball = np.zeros((100, 120), bool), disc((50, 50), 20)
    size = f"{ball.sum() / 4:.0f} mm2"
    unlabelled, unseen = head(nothing, ball), head(ball, nothing)
    missing = on_one_side("head", figures_of(unlabelled)["head"], 2, (0.5, 0.5))
    assert missing is not None and missing.kind == "structure missing" and size in missing.told
    not_seen = on_one_side("head", figures_of(unseen)["head"], 2, (0.5, 0.5))
    assert not_seen is not None and not_seen.kind == "structure not seen" and size in not_seen.told
    assert on_one_side("head", figures_of(unseen, sure=0.6)["head"], 2, None) is None
    assert on_one_side("head", figures_of(head(ball, ball))["head"], 2, None) is None
    assert on_one_side("head", figures_of(head(nothing, nothing))["head"], 2, None) is None


def test_part_that_is_cut_off() -> None:
    model = disc((50, 50), 20)
    label = model.copy()
    label[:, 60:] = False
    lost = int((model & ~label).sum())
    ((kind, told),) = pieces(head(label, model))
    assert kind == "part missing"
    assert f"{lost / 4:.3g} mm2, {lost / model.sum():.0%} of it, up to 5.5 mm" in told, "columns 60 to 70, half a mm each"


def test_part_too_much_that_is_another_structure() -> None:
    labels = np.zeros((40, 40), np.int16)
    labels[10:30, 5:30], labels[10:30, 30:38] = 1, 2
    painted = np.zeros((40, 40), np.uint8)
    painted[10:30, 5:20], painted[10:30, 20:38] = 10, 20
    case = LabelledCase(labels, painted, (A, B), None)
    ((kind, told),) = pieces(case, structure=A)
    assert kind == "part extra" and told.endswith("; it sees B there") and "200 pixels, 40% of it, up to 10 pixels" in told
    ((kind, told),) = pieces(case, structure=B)
    assert kind == "part missing" and told.endswith("; it is labelled A")


def test_borders_and_doubts_are_no_parts() -> None:
    rim = head(disc((50, 50), 20), disc((50, 50), 22))
    assert pieces(rim) == []
    model = disc((50, 50), 20)
    label = model.copy()
    label[:, 60:] = False
    assert pieces(head(label, model), np.where(model, 0.85, 0).astype(np.float32)) == []
    assert pieces(head(np.zeros((100, 120), bool), model)) == []


def test_sizes_in_words() -> None:
    assert told_size(8, 2, (0.5, 0.25)) == "1 mm2"
    assert told_size(1_000_000, 2, (0.1, 0.1)) == "10000 mm2"
    assert told_size(2500, 3, (1.0, 1.0, 1.0)) == "2.5 ml"
    assert told_size(3, 3, None) == "3 pixels"
