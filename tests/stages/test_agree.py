"""Measures against a truth, with figures that can be worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.errors import DataError
from autoseg.records import Measure, MeasuredCase, MeasuredStructure, Measurements
from autoseg.stages.agree import agree, truth_of_labels, truth_of_table


def _case(id: str, hc: float | None, width: float | None = 9.0, angle: float = 10.0) -> MeasuredCase:
    def structure(**values: tuple[float | None, str]) -> MeasuredStructure:
        failed = {key: None if value is not None else "no reason" for key, (value, _) in values.items()}
        measures = {key: Measure(value=value, unit=unit, failure=failed[key]) for key, (value, unit) in values.items()}
        return MeasuredStructure(pixels=1, measures=measures)

    structures = {"head": structure(HC=(hc, "mm"), angle=(angle, "degrees")), "LV": structure(width=(width, "mm"))}
    return MeasuredCase(id=id, subject=id[0], mask=f"{id}.png", status="done", structures=structures)


def _measured(*cases: MeasuredCase) -> Measurements:
    return Measurements(masks="m", structures={"head": (1, 2), "LV": (2,)}, dating="hadlock-1984", cases=cases)


MEASURED = _measured(_case("a1", 101.0), _case("a2", 199.0), _case("b1", 302.0), _case("c1", 250.0), _case("d1", None))


def _table(folder: Path, text: str) -> Path:
    path = folder / "truth.csv"
    path.write_text(text)
    return path


def test_a_table_by_hand(tmp_path: Path) -> None:
    path = _table(
        tmp_path,
        "filename,pixel size(mm),head circumference (mm)\na1.png,0.1,100\nA2.png,0.1,200\nb1,0.1,300\nc1,0.1,\nd1,0.1,150\ne1,0.1,90\n",
    )
    truth, notes = truth_of_table(path, MEASURED)
    assert "pixel size(mm)" in notes[0]
    found = agree(MEASURED, truth, truth_name="truth.csv", notes=notes, out=tmp_path)
    (hc,) = found.measures
    assert (hc.structure, hc.measure, hc.compared, hc.subjects, hc.not_measured) == ("head", "HC", 3, 2, ("d1",))
    assert hc.bias == pytest.approx((1 - 1 + 2) / 3)
    assert hc.mae == pytest.approx(4 / 3) and hc.largest == 2.0
    assert hc.icc is not None and hc.icc > 0.99
    assert hc.lower is not None and hc.upper is not None and hc.lower < hc.bias < hc.upper
    assert found.without_mask == ("e1",)
    assert found.plot == "agreement/bland_altman.png" and (tmp_path / "agreement" / "bland_altman.png").stat().st_size > 5000


def test_columns_are_understood_in_many_ways(tmp_path: Path) -> None:
    for heading in ("HC", "hc_mm", "head_HC_mm", "Head HC", "head_circumference", "Head Circumference (mm)"):
        truth, notes = truth_of_table(_table(tmp_path, f"image,{heading},LV_width_mm\na1.png,100,8\n"), MEASURED)
        assert truth == {"a1": {("head", "HC"): 100.0, ("lv", "width"): 8.0}} and notes == []
    german = _table(tmp_path, "Bild;HC\na1.png;100,5\n")
    assert truth_of_table(german, MEASURED)[0] == {"a1": {("head", "HC"): 100.5}}


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column names a measure; found 'image', 'age'"):
        truth_of_table(_table(tmp_path, "image,age\na1.png,100\n"), MEASURED)
    with pytest.raises(DataError, match=r"line 2, column HC: expected a number from 0 to 1e\+09, found 'large'"):
        truth_of_table(_table(tmp_path, "image,HC\na1.png,large\n"), MEASURED)
    with pytest.raises(DataError, match="no measured case is in the truth"):
        agree(MEASURED, {"x": {("head", "HC"): 1.0}}, truth_name="t")
    with pytest.raises(DataError, match="has no figure of these masks"):
        agree(MEASURED, {"a1": {}}, truth_name="t")


def test_labels_as_truth(tmp_path: Path) -> None:
    labels = _measured(_case("a1", 100.0, 8.0), _case("a2", 200.0, None), _case("b1", None, 10.0))
    found = agree(MEASURED, truth_of_labels(labels), truth_name="labels")
    assert [(one.structure, one.measure, one.compared) for one in found.measures] == [("head", "HC", 2), ("LV", "width", 2)]
    assert found.measures[0].bias == 0.0 and found.measures[0].lower is None  # two cases have no limits
    assert found.measures[1].mae == 1.0
    assert found.plot is None


def test_areas_in_pixels_are_not_compared_with_square_millimetres() -> None:
    def measured(id: str, area: float, unit: str) -> MeasuredCase:
        structures = {"LV": MeasuredStructure(pixels=1, measures={"area": Measure(value=area, unit=unit)})}
        return MeasuredCase(id=id, subject=id, mask=f"{id}.png", status="done", structures=structures)

    masks = _measured(measured("a", 52.0, "mm2"), measured("b", 5000.0, "pixels"))
    (found,) = agree(masks, {"a": {("lv", "area"): 50.0}, "b": {("lv", "area"): 50.0}}, truth_name="t").measures
    assert (found.unit, found.compared, found.not_measured) == ("mm2", 1, ("b",))
    assert found.bias == 2.0


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999", "-nan", "-170", "1e12"])
def test_what_no_measure_can_be_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=f"line 3, column HC: expected a number from 0 to 1e\\+09, found '{cell}'"):
        truth_of_table(_table(tmp_path, f"image,HC\na1.png,100\na2.png,{cell}\n"), MEASURED)


def test_rows_of_one_image_must_say_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 4: A1 has other figures than in line 2; keep the right row"):
        truth_of_table(_table(tmp_path, "image,HC\na1.png,100\na2.png,200\nA1,101\n"), MEASURED)
    same = _table(tmp_path, "image,HC\na1.png,100\na1.png,100.0\n")
    assert truth_of_table(same, MEASURED)[0] == {"a1": {("head", "HC"): 100.0}}


def test_two_columns_of_one_measure_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the columns 'HC' and 'head circumference \\(mm\\)' are one measure; keep one of them"):
        truth_of_table(_table(tmp_path, "image,HC,head circumference (mm)\na1.png,100,101\n"), MEASURED)
