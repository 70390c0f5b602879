"""docs/biometry.md: its commands run, its options exist, and its limits are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from autoseg.metrics import biometry, gestation, robust_ellipse

from .conftest import exit_code

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "biometry.md").read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```sh\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    for line in block.splitlines():
        command, *words = shlex.split(line.replace("--subjects 4", "--subjects 2"))
        assert command == "autoseg"
        assert exit_code(*words, *(("--workers", "0") if words[0] == "measure" else ())) == 0
    named = set(re.findall(r"`([\w./]+\.(?:csv|json|png))`", TEXT)) - {"predictions.json"}
    assert named == {"measurements.csv", "measurements.json", "hc18.csv", "agreement.json", "agreement/bland_altman.png"}
    assert all((tmp_path / "heads-measures" / name).is_file() for name in named)
    header = (tmp_path / "heads-measures" / "measurements.csv").read_text().splitlines()[0].split(",")
    assert {"head_HC_mm", "head_BPD_mm", "LV_width_mm"} <= set(header)
    for measure in re.findall(r"^\| (`.*?) \|", TEXT, flags=re.MULTILINE)[5:]:
        for name in re.findall(r"`(\w+)`", measure):
            assert name in ("volume", "surface", "second_diameter", "third_diameter", "middle_axis") or any(
                name in cell for cell in header
            )


def test_options_and_formulae_that_it_names_exist() -> None:
    from typer.main import get_command

    from autoseg.cli import app

    commands = get_command(app).commands.values()  # type: ignore[attr-defined]
    known = {option for command in commands for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= known
    assert re.findall(r"^\| `([a-z-]+-(?:19|20)\d\d)`", TEXT, flags=re.MULTILINE) == list(gestation.DATINGS)
    for dating, (least, most) in gestation.WEEKS.items():
        (row,) = re.findall(rf"^\| `{dating}`.*\| ([^|]*) \|$", TEXT, flags=re.MULTILINE)
        assert row == f"{least:g} to {most:g} weeks"


@pytest.mark.parametrize(
    "said",
    [
        f"fewer than {biometry.FEWEST_PIXELS};",
        f"has more than {100 * biometry.PIECE_FAILS:.0f} % of the largest",
        f"more than {100 * biometry.OFF_FAILS:.0f} % of the outline is farther than {100 * biometry.OFF:.0f} % of half the BPD",
        f"or than {biometry.OFF_PIXELS:g} pixels",
        f"backs less than {100 * biometry.SEEN_FAILS:.0f} % of the ellipse, because",
        f"has more than {100 * biometry.PIECE_WARNS:.0f} %, more than {100 * biometry.OFF_WARNS:.0f} % of the outline is off",
        f"more than {100 * biometry.RESIDUAL_WARNS:.0f} % off on average, it backs less than {100 * biometry.SEEN_WARNS:.0f} %",
        f"outside {biometry.USUAL_INDEX[0]:g} to {biometry.USUAL_INDEX[1]:g} (",
        f"an ellipse is sought that {100 * robust_ellipse.KEPT:.0f} % of",
        f"{robust_ellipse.MUCH_CLOSER:g} times closer, or within {robust_ellipse.AS_PIXELS_ALLOW:g} pixels",
    ],
)
def test_limits_are_those_of_the_code(said: str) -> None:
    assert said in WORDS
