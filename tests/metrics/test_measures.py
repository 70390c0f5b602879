"""Which figures a structure has, and that each has a value or a reason."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.measures import ABSENT, OF_2D, OF_3D, UNKNOWN_SPACING, has_width, is_head, measure_structure, measures_of
from autoseg.volume.ellipse import Ellipse

from .head_shapes import filled

HEAD = Ellipse((40.0, 50.0), (36.0, 28.0), 0.3)


def _mask(ellipse: Ellipse = HEAD) -> np.ndarray:
    return filled((160, 200), (0.5, 0.5), ellipse)


def test_names() -> None:
    assert is_head("Head") and not is_head("heads")
    assert all(has_width(name) for name in ("LV", "csp", "Lateral Ventricle", "cavum_septi_pellucidi", "lateral ventricles"))
    assert not has_width("Brain")
    assert list(measures_of("head", 2))[:3] == ["HC", "BPD", "OFD"]
    assert list(measures_of("LV", 2))[:2] == ["width", "width_across"]
    assert measures_of("head", 3) == OF_3D and measures_of("Brain", 2) == OF_2D


def test_a_head() -> None:
    found = measure_structure("head", _mask(), (0.5, 0.5), "hadlock-1984")
    measures = found.record.measures
    values = {key: measure.value for key, measure in measures.items()}
    assert (values["BPD"], values["OFD"]) == pytest.approx((56, 72), abs=0.1)
    assert values["HC"] == pytest.approx(HEAD.perimeter(), abs=0.2)
    assert values["cephalic_index"] == pytest.approx(100 * 56 / 72, abs=0.1)
    assert values["GA_HC"] == pytest.approx(8.96 + 0.54 * HEAD.perimeter() / 10 + 0.0003 * (HEAD.perimeter() / 10) ** 3, abs=0.05)
    assert all(measure.warnings == () and measure.failure is None for measure in measures.values())
    assert found.record.ellipse is not None and found.record.ellipse.semi_axes_mm == pytest.approx((36, 28), abs=0.05)
    lengths = {line.name: float(np.linalg.norm(np.subtract(*line.ends_mm))) for line in found.lines}
    assert lengths == pytest.approx({"OFD": values["OFD"], "BPD": values["BPD"]})


def test_another_formula_has_no_age_by_diameter() -> None:
    measures = measure_structure("head", _mask(), (0.5, 0.5), "intergrowth-2016").record.measures
    assert measures["GA_HC"].value is not None
    assert measures["GA_BPD"].value is None and "intergrowth-2016" in str(measures["GA_BPD"].failure)


def test_what_is_no_head_keeps_its_size() -> None:
    mask = np.zeros((160, 200), bool)
    mask[30:90, 40:100] = True
    measures = measure_structure("head", mask, (0.5, 0.5), "hadlock-1984").record.measures
    assert measures["area"].value == pytest.approx(900.0)
    for key in ("HC", "BPD", "OFD", "cephalic_index", "GA_HC", "GA_BPD"):
        assert measures[key].value is None and "not elliptical" in str(measures[key].failure)


def test_doubts_go_with_every_figure_of_the_head() -> None:
    measures = measure_structure("head", _mask()[35:], (0.5, 0.5), "hadlock-1984").record.measures
    assert all("backs only" in measures[key].warnings[0] for key in ("HC", "BPD", "OFD", "cephalic_index", "GA_HC"))
    assert measures["area"].warnings == ()


def test_a_ventricle() -> None:
    found = measure_structure("LV", _mask(Ellipse((40.0, 50.0), (15.0, 5.0), 0.7)), (0.5, 0.5), "hadlock-1984")
    assert found.record.measures["width"].value == pytest.approx(10, abs=0.25)  # half a pixel
    assert found.record.measures["width_across"].value == pytest.approx(10, abs=0.25)  # half a pixel
    assert found.circle_mm is not None and found.circle_mm[0] == pytest.approx((40, 50), abs=1)
    mask = _mask(Ellipse((40.0, 50.0), (15.0, 5.0), 0.7))
    mask[5:15, 5:15] = True  # 25 mm2 beside 236
    mask[80, 100] = False
    (doubt,) = measure_structure("LV", mask, (0.5, 0.5), "hadlock-1984").record.measures["width"].warnings
    assert "another piece of 11 %" in doubt
    thin = measure_structure("CSP", _mask(Ellipse((0.0, 50.0), (15.0, 0.9), 0.0)), (0.5, 0.5), "hadlock-1984").record.measures
    assert thin["width"].value is None or {"touches the border", "less than 4 pixels"} == {
        key for key in ("touches the border", "less than 4 pixels") if any(key in doubt for doubt in thin["width"].warnings)
    }


def test_nothing_there() -> None:
    measures = measure_structure("LV", np.zeros((9, 9), bool), (1.0, 1.0), "hadlock-1984").record.measures
    assert all(measure.value is None and measure.failure == ABSENT for measure in measures.values())


def test_without_spacing_pixels_are_counted_and_nothing_is_in_mm() -> None:
    record = measure_structure("head", _mask(), None, "hadlock-1984").record
    area = record.measures.pop("area")
    assert (area.value, area.unit) == (float(record.pixels), "pixels")
    assert all(measure.value is None and measure.failure == UNKNOWN_SPACING for measure in record.measures.values())


def test_a_volume() -> None:
    mask = np.zeros((10, 20, 20), bool)
    mask[2:8, 5:15, 5:15] = True
    measures = measure_structure("head", mask, (2.0, 1.0, 1.0), "hadlock-1984").record.measures
    assert list(measures) == list(OF_3D)
    assert measures["volume"].value == pytest.approx(1.2)
