"""Folds by subject, stratified; held-out subjects; folds from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.records import Case, CaseFacts, Dataset, Fingerprint, Fold, Splits, Structure, StructureSize, ValueEncoding
from autoseg.stages.split import make_splits, refuse_unsound

NAMES = ("common", "rare")


def facts(id: str, present: tuple[str, ...]) -> CaseFacts:
    return CaseFacts(
        id=id,
        shape=(4, 4),
        spacing_mm=None,
        orientation=None,
        shape_after_crop=(4, 4),
        structures={name: StructureSize(pixels=5 if name in present else 0, size=None, thickness=1.0) for name in NAMES},
        intensities=None,
        content_hash=id,
    )


def made(
    subjects: dict[str, str],
    rare: tuple[str, ...] = (),
    duplicates: tuple[tuple[str, ...], ...] = (),
    unlabelled: tuple[str, ...] = (),
) -> tuple[Dataset, Fingerprint]:
    """A data set of cases with these subjects; `rare` lists the cases that hold the rare structure."""
    dataset = Dataset(
        name="d",
        layout="folders",
        root="/",
        rank=2,
        channels=("grey",),
        targets=tuple(Structure(name=name, values=(value,), output_value=value) for value, name in enumerate(NAMES, start=1)),
        encodings={"default": ValueEncoding(values={0: 0, 1: 1, 2: 2})},
        cases=tuple(
            Case(id=id, subject=subject, images=(f"{id}.png",), label=None if id in unlabelled else f"{id}_l.png")
            for id, subject in subjects.items()
        ),
    )
    measured = tuple(facts(id, NAMES if id in rare else ("common",)) for id in subjects if id not in unlabelled)
    fingerprint = Fingerprint(cases=measured, intensities=(), median_relative_size_after_crop=1.0, duplicates=duplicates)
    return dataset, fingerprint


def frames(subjects: int, each: int = 1) -> dict[str, str]:
    return {f"s{subject:02d}_{frame}": f"s{subject:02d}" for subject in range(subjects) for frame in range(each)}


def sizes(splits: Splits) -> list[int]:
    return sorted(len(fold.validation) for fold in splits.folds)


def test_every_case_validates_once_and_subjects_stay_together() -> None:
    subjects = frames(13, each=3)
    splits = make_splits(*made(subjects))
    assert sorted(id for fold in splits.folds for id in fold.validation) == sorted(subjects)
    for fold in splits.folds:
        assert {subjects[id] for id in fold.train}.isdisjoint(subjects[id] for id in fold.validation)
        assert len(fold.train) + len(fold.validation) == 39
    assert sizes(splits) == [6, 6, 9, 9, 9]
    assert splits.seed == 12345
    assert "5 folds grouped by subject (13 groups, 39 cases)" in splits.rule


def test_rare_structures_are_spread() -> None:
    subjects = frames(20)
    rare = ("s00_0", "s01_0", "s02_0", "s03_0", "s04_0")
    splits = make_splits(*made(subjects, rare))
    assert [sum(id in rare for id in fold.validation) for fold in splits.folds] == [1, 1, 1, 1, 1]
    assert sizes(splits) == [4, 4, 4, 4, 4]


def test_subjects_of_very_different_size_are_balanced_in_cases() -> None:
    subjects = {f"big_{index}": "big" for index in range(6)} | frames(12)
    assert sizes(make_splits(*made(subjects), folds=3)) == [6, 6, 6]


def test_the_seed_decides_and_the_order_of_cases_does_not() -> None:
    subjects = frames(20)
    first, again, other = (make_splits(*made(subjects), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.folds != other.folds
    turned = make_splits(*made(dict(reversed(subjects.items()))), seed=1)
    assert [set(fold.validation) for fold in turned.folds] == [set(fold.validation) for fold in first.folds]


def test_fewer_subjects_than_folds_is_said() -> None:
    splits = make_splits(*made(frames(3, each=4)))
    assert sizes(splits) == [4, 4, 4]
    assert "only 3 subjects" in splits.rule


def test_no_fold_is_empty_even_where_one_subject_outweighs_all() -> None:
    subjects = {f"big_{index}": "big" for index in range(50)} | frames(4)
    assert sizes(make_splits(*made(subjects, rare=("big_0",)))) == [1, 1, 1, 1, 50]


def test_one_subject_has_nothing_to_validate_on(tmp_path: Path) -> None:
    """All its cases train; the rule says what is left, and how to tell subjects apart."""
    dataset, fingerprint = made(frames(1, each=9))
    splits = make_splits(dataset, fingerprint)
    assert [(len(fold.train), fold.validation) for fold in splits.folds] == [(9, ())] and not splits.can_validate
    assert "only one subject ('s00', 9 cases)" in splits.rule and "--fold full" in splits.rule and "--subjects" in splits.rule
    refuse_unsound(splits, dataset, Path("splits.json"))
    (tmp_path / "held.txt").write_text("s01\n")
    held = make_splits(*made(frames(2)), hold_out=tmp_path / "held.txt")
    assert held.held_out == ("s01_0",) and held.folds[0].train == ("s00_0",) and not held.can_validate
    (tmp_path / "held.txt").write_text("s00\ns01\n")
    with pytest.raises(DataError, match="no subject is left after holding out 2"):
        make_splits(*made(frames(2)), hold_out=tmp_path / "held.txt")


def test_no_labels_and_one_fold_are_refused() -> None:
    with pytest.raises(DataError, match="no case has a label"):
        make_splits(*made(frames(2), unlabelled=("s00_0", "s01_0")))
    with pytest.raises(DataError, match="at least 2"):
        make_splits(*made(frames(4)), folds=1)


def test_cases_without_label_take_no_part() -> None:
    splits = make_splits(*made(frames(6), unlabelled=("s02_0",)))
    assert "s02_0" not in {id for fold in splits.folds for id in (*fold.train, *fold.validation)}


def test_duplicates_of_different_subjects_share_a_fold() -> None:
    subjects = frames(10)
    splits = make_splits(*made(subjects, duplicates=(("s01_0", "s08_0"), ("s08_0", "s05_0"))))
    together = {"s01_0", "s05_0", "s08_0"}
    assert [together & set(fold.validation) for fold in splits.folds].count(together) == 1
    assert "exact duplicate" in splits.rule and "s01 = s08" in splits.rule


def test_hold_out_by_share_keeps_whole_subjects_out_and_is_stratified() -> None:
    subjects = frames(20, each=2)
    rare = tuple(id for id in subjects if id < "s10")
    splits = make_splits(*made(subjects, rare), hold_out=0.2)
    held = {subjects[id] for id in splits.held_out}
    assert len(held) == 4 and len(splits.held_out) == 8
    assert len({subject for subject in held if subject < "s10"}) == 2
    for fold in splits.folds:
        assert held.isdisjoint(subjects[id] for id in (*fold.train, *fold.validation))
    assert "4 subjects (8 cases) are held out of every fold (0.2 of the subjects" in splits.rule


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("held.txt", "s01  # a subject\n\ns03_1\n"),
        ("held.json", '["s01", "s03_1"]'),
        ("held.csv", "name,why\ns01,old\ns03_1,new\n"),
    ],
)
def test_hold_out_by_file_takes_the_whole_subject(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    splits = make_splits(*made(frames(6, each=2)), hold_out=tmp_path / name)
    assert splits.held_out == ("s01_0", "s01_1", "s03_0", "s03_1")
    assert name in splits.rule


@pytest.mark.parametrize("hold_out", [0.0, 1.0, -0.5, "1.5"])
def test_shares_outside_0_to_1_are_refused(hold_out: float | str) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        make_splits(*made(frames(6)), hold_out=hold_out)


def test_unknown_names_in_a_hold_out_file_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("s01\nnobody\nnothing\n")
    with pytest.raises(DataError) as caught:
        make_splits(*made(frames(6)), hold_out=tmp_path / "held.txt")
    assert [fault.case for fault in caught.value.faults] == ["nobody", "nothing"]


def nnunet_file(tmp_path: Path, *folds: tuple[list[str], list[str]]) -> Path:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": train, "val": validation} for train, validation in folds]))
    return path


def test_nnunet_splits(tmp_path: Path) -> None:
    path = nnunet_file(tmp_path, (["s00_0", "s01_0"], ["s02_0"]), (["s02_0"], ["s00_0", "s01_0"]))
    splits = make_splits(*made(frames(4)), splits_file=path)
    assert splits.folds[0] == Fold(train=("s00_0", "s01_0"), validation=("s02_0",))
    assert splits.seed is None
    assert "2 folds from splits_final.json" in splits.rule
    assert "1 labelled cases are in no fold: s03_0" in splits.rule


def test_a_file_that_splits_subjects_is_allowed_and_said(tmp_path: Path) -> None:
    path = nnunet_file(tmp_path, (["s00_0", "s01_0"], ["s00_1", "s01_1"]), (["s00_0", "s00_1"], ["s01_0", "s01_1"]))
    splits = make_splits(*made(frames(2, each=2)), splits_file=path)
    assert "2 subjects stand in training and validation of one fold" in splits.rule and "s00, s01" in splits.rule


def test_our_own_record_comes_back(tmp_path: Path) -> None:
    dataset, fingerprint = made(frames(10))
    first = make_splits(dataset, fingerprint, hold_out=0.2, seed=7)
    first.save(tmp_path / "splits.json")
    again = make_splits(dataset, fingerprint, splits_file=tmp_path / "splits.json")
    assert (again.folds, again.held_out, again.seed) == (first.folds, first.held_out, 7)


def test_holding_out_from_a_given_file_removes_the_cases(tmp_path: Path) -> None:
    path = nnunet_file(tmp_path, (["s00_0", "s01_0"], ["s02_0", "s03_0"]), (["s02_0", "s03_0"], ["s00_0", "s01_0"]))
    (tmp_path / "held.txt").write_text("s03")
    splits = make_splits(*made(frames(4)), splits_file=path, hold_out=tmp_path / "held.txt")
    assert splits.folds == (
        Fold(train=("s00_0", "s01_0"), validation=("s02_0",)),
        Fold(train=("s02_0",), validation=("s00_0", "s01_0")),
    )
    assert splits.held_out == ("s03_0",)


def test_all_faults_of_a_file_at_once(tmp_path: Path) -> None:
    path = nnunet_file(tmp_path, (["s00_0", "s01_0", "nobody"], ["s01_0"]), (["s02_0"], []))
    with pytest.raises(DataError) as caught:
        make_splits(*made(frames(4)), splits_file=path)
    assert sorted(fault.case for fault in caught.value.faults) == ["nobody", "s01_0", "splits_final.json"]


@pytest.mark.parametrize("text", ["{", "[]", '[{"train": ["a"]}]', '{"format": 1}', "3"])
def test_unusable_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=r"s\.json"):
        make_splits(*made(frames(4)), splits_file=tmp_path / "s.json")


def test_folds_that_were_edited_by_hand_are_checked() -> None:
    dataset, fingerprint = made(frames(6))
    splits = make_splits(dataset, fingerprint, folds=3)
    refuse_unsound(splits, dataset, Path("splits.json"))
    first, *others = splits.folds
    leaking = first.model_copy(update={"train": (*first.train, first.validation[0], first.train[0])})
    edited = splits.model_copy(update={"folds": (leaking, *others), "held_out": (first.train[1], "nobody")})
    with pytest.raises(DataError) as error:
        refuse_unsound(edited, dataset, Path("splits.json"))
    for words in (
        "training and validation of fold 0",
        "more than once for training of fold 0",
        "held out in splits.json",
        "nobody",
    ):
        assert words in str(error.value)
    with pytest.raises(DataError, match="holds no folds"):
        refuse_unsound(splits.model_copy(update={"folds": ()}), dataset, Path("splits.json"))


def test_folds_by_name_are_the_same_whatever_is_there() -> None:
    """With half of the subjects, or other labels, everybody who is left stays where he was."""
    everybody = {f"case{number}": f"P{number // 2}" for number in range(400)}
    half = {id: subject for id, subject in everybody.items() if int(subject[1:]) % 2}
    whole, part = (
        make_splits(*made(subjects, rare=rare), splits_file=Path("by-name"))
        for subjects, rare in ((everybody, ()), (half, ("case7",)))
    )
    assert len(whole.folds) == 5 and set(part.held_out) == set(whole.held_out) & set(half)
    for one, other in zip(whole.folds, part.folds, strict=True):
        assert set(other.validation) == set(one.validation) & set(half)
        assert not set(one.validation) & set(whole.held_out) and not {everybody[id] for id in one.train} & {
            everybody[id] for id in one.validation
        }
    assert sorted(id for fold in whole.folds for id in fold.validation) == sorted(set(everybody) - set(whole.held_out))
    assert whole.seed == 8265464 and "by the names of the subjects alone" in whole.rule
    with pytest.raises(DataError, match=r"holds out 0.2 of the subjects by itself"):
        make_splits(*made(everybody), splits_file=Path("by-name"), hold_out=0.1)
    with pytest.raises(DataError, match=r"is for sets of hundreds"):
        make_splits(*made({"a": "P1", "b": "P2"}), splits_file=Path("by-name"))
