"""`inference.json` states the numbers of the plan; what they mean is proved by a program that follows them (tests/pipeline)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.inference.profiles import with_profile
from autoseg.inference.tiling import gaussian_window
from autoseg.records import InferenceDescription
from autoseg.run_folder import RunFolder
from autoseg.stages.export.description import GAUSSIAN_SIGMA_FRACTION, describe
from tests.stages.export.runs import picture_run, volume_run


def description_of(run: Path, profile: str = "balanced") -> InferenceDescription:
    plan = RunFolder(run).plan()
    return describe(plan, with_profile(plan.configurations[plan.default], profile), profile, ())  # type: ignore[arg-type]


def test_numbers_are_those_of_the_plan(tmp_path: Path) -> None:
    told = description_of(volume_run(tmp_path / "run"))
    assert (told.axes.orientation, told.axes.transpose, told.resampling.spacing_mm) == ("LPS", (1, 0, 2), (1.3, 4.4, 1.3))
    assert (told.windows.patch_size, told.windows.step_fraction, told.mirroring.axes) == ((16, 4, 16), 0.5, (0,))
    assert (told.channels[0].normalization.lower, told.channels[0].normalization.upper) == (5.0, 180.0)
    assert [(one.output, one.name, one.value) for one in told.decision.outputs] == [(0, "organ", 1), (1, "lesion", 2)]
    assert "['y', 'z', 'x']" in told.axes.rule and "pixel" not in told.axes.rule


def test_the_profile_is_applied(tmp_path: Path) -> None:
    run = picture_run(tmp_path / "run")
    by_profile = {name: description_of(run, name) for name in ("best", "balanced", "fast")}
    assert {name: told.mirroring.axes for name, told in by_profile.items()} == {"best": (0, 1), "balanced": (0,), "fast": ()}
    assert by_profile["fast"].windows.step_fraction == 0.75


def test_labels_of_a_mask(tmp_path: Path) -> None:
    told = description_of(picture_run(tmp_path / "run"))
    assert told.decision.kind == "argmax"
    assert [(one.output, one.value) for one in told.decision.outputs] == [(0, 0), (1, 255), (2, 100)]
    assert "PNG" in told.resampling.size_rule, "the pixel size of pictures has to be asked for"


def test_slices(tmp_path: Path) -> None:
    told = description_of(volume_run(tmp_path / "run", slices=True))
    assert told.windows.slice_axis == 0 and "axis 0" in told.windows.padding_rule
    assert told.resampling.spacing_mm == (None, 1.3, 1.3) and "null keeps its size" in told.resampling.size_rule


@pytest.mark.parametrize("patch", [7, 16, 40])
def test_the_gaussian_is_that_of_the_sliding_window(patch: int) -> None:
    stated = np.exp(-0.5 * ((np.arange(patch) - patch // 2) / (GAUSSIAN_SIGMA_FRACTION * patch)) ** 2)
    assert np.allclose(stated, gaussian_window(patch), rtol=1e-6)
