"""What README.md says can be typed in, and does what it says; only made shorter, so that the test is quick."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
SMALL = (
    "training.steps_per_epoch=2",
    "training.validation_steps=1",
    "training.patch_size=64,64",
    "network.features=8,16,32",
    "network.strides=[[1,1],[2,2],[2,2]]",
    "network.kernel_sizes=[[3,3],[3,3],[3,3]]",
    "network.encoder_blocks=2,2,2",
    "network.decoder_convs=2,2",
    "inference.mirror_axes=[]",
)
SHORT = ("--epochs", "1", *(word for setting in SMALL for word in ("--set", setting)))
OWN_NETWORK = ("--set", "--init-from")  # of plans that bring a network of their own: these are planned as they stand
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}  # tests run side by side, and threads of one would wait for the other's
SUBJECTS = {"12": "6", "5": "2"}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def _shortened(words: list[str]) -> list[str]:
    if "--time-budget" in words and not set(OWN_NETWORK) & set(words):
        place = words.index("--time-budget")
        return [*words[:place], *SHORT, *words[place + 2 :]]
    if "--subjects" in words:
        place = words.index("--subjects") + 1
        return [*words[:place], SUBJECTS[words[place]], *words[place + 1 :]]
    return words


def _run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, env=ONE_THREAD)
    assert done.returncode == 0, f"{arguments} returned {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def worked_example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which all `sh` blocks ran, in order, and what each command printed."""
    folder = tmp_path_factory.mktemp("worked_example")
    printed: dict[str, str] = {}
    for line in "".join(_blocks("sh")).splitlines():
        command, *words = shlex.split(line)
        assert command == "autoseg", f"the sh blocks of README.md hold autoseg's commands only, not {line!r}"
        printed[line] = _run(["-m", "autoseg", *_shortened(words)], folder)
    return folder, printed


def test_worked_example_runs_and_leaves_what_it_says(worked_example: tuple[Path, dict[str, str]]) -> None:
    folder, printed = worked_example
    verbs = [line.split()[1] for line in printed]
    first = ["phantom", "plan", "train", "select", "phantom", "predict", "evaluate"]
    assert verbs == [
        *first,
        *["plan"] * 5,
        "export",
        "predict",
        "measure",
        "evaluate",
        "compare",
        "doctor",
        "export-masks",
        "import",
    ]
    images = sorted(path.stem for path in (folder / "heads-new" / "images").iterdir())
    assert len(images) >= 2
    assert set(images) <= {path.stem for path in (folder / "heads-masks").glob("*.png")}
    for name in ("predictions.json", "scores.json", "scores.csv", "summary.json", "measurements.csv", "agreement.json"):
        assert (folder / "heads-masks" / name).is_file()
    assert (folder / "heads-run" / "plan.json").is_file() and (folder / "heads-run" / "selection.json").is_file()
    assert (folder / "heads-run" / "doctor" / "index.html").is_file()
    assert len(list((folder / "heads-masks" / "measurements").glob("*.png"))) == len(images)
    for name in images:  # what goes out for correction comes back as it was
        mask, label = (
            np.asarray(Image.open(folder / part / f"{name}.png")) for part in ("heads-masks", "heads-corrected/labels")
        )
        assert np.array_equal(mask > 0, label > 0)
    for structure in ("Brain", "CSP", "LV"):
        assert all(structure in text for line, text in printed.items() if line.split()[1] in ("train", "evaluate"))
        assert structure in printed["autoseg plan heads heads-run --time-budget 2m"]


def test_plans_are_told_compared_and_taken_over(worked_example: tuple[Path, dict[str, str]]) -> None:
    folder, printed = worked_example
    explained, bill, _, compared, tuned = (" ".join(printed[line].split()) for line in list(printed)[7:12])
    assert "Rule:" in explained and "Instead:" in explained
    assert "all 5 folds" in bill and "memory of a step" in bill
    assert "plain_unet" in compared and "unet2015" in compared
    assert "heads-run" in tuned
    assert (folder / "heads-tuned" / "plan.json").is_file()


def test_what_was_handed_over_predicts_the_same(worked_example: tuple[Path, dict[str, str]]) -> None:
    folder, _ = worked_example
    here, there = (sorted((folder / name).glob("*.png")) for name in ("heads-masks", "heads-masks-2"))
    assert here and [path.name for path in here] == [path.name for path in there]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(here, there, strict=True))


def test_python_example_runs(worked_example: tuple[Path, dict[str, str]]) -> None:
    folder, _ = worked_example
    (block,) = _blocks("python")
    assert "time_budget_seconds=120" in block
    script = folder / "example.py"
    script.write_text(block.replace("time_budget_seconds=120", f"epochs=1, overrides={SMALL!r}"))
    printed = _run([script.name], folder).splitlines()
    assert "epochs=1" in printed[0]
    assert 0 <= float(printed[-1]) <= 1


def test_every_option_and_verb_that_is_mentioned_exists() -> None:
    from typer.main import get_command

    from autoseg.cli import app

    group = get_command(app)
    known = {option for command in (group, *group.commands.values()) for p in command.params for option in p.opts}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README.replace("--help", "")))
    drawn = set(re.findall(r"--([a-z]+)(?:,? \(?[a-z]+\)?)?-->", README))  # arrows of the picture
    of_torchrun = {"--nproc-per-node"}
    assert {word for word in mentioned if word.strip("-") not in drawn} <= known | of_torchrun
    assert set(re.findall(r"`autoseg ([a-z]+)", README)) <= set(group.commands)


def test_the_tree_of_the_house_is_true() -> None:
    (tree,) = re.findall(r"^```\n(autoseg/\n.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    root = Path(__file__).resolve().parents[1]
    told = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    there = {path.name for path in (root / "autoseg").iterdir() if path.name[0] not in "_." and path.suffix in ("", ".py")}
    assert told == {name for name in there if not name.startswith("cli_")}
    assert all((root / line.split()[0]).is_dir() for line in tree.splitlines() if not line.startswith(" "))
