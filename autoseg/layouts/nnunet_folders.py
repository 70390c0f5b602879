"""Where a trained nnU-Net v2 model lies: folders `Trainer__Plans__configuration`, each with plans, a data set's description and folds.

Which configuration a checkpoint belongs to and along which axes it mirrors stands in the checkpoint alone; whoever can open one
hands in a function that tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoseg.errors import DataError, Fault
from autoseg.layouts.archives import files_below
from autoseg.layouts.json_part import JsonObject
from autoseg.records import FULL

PLANS, DATASET = "plans.json", "dataset.json"
ALL = "all"  # names the fold that trained on all cases
CheckpointKind = Literal["final", "best"]
MOST_BYTES = 64 * 2**20  # of a JSON file; real ones have some thousand lines
# of a model with several configurations, the first of these is the default, as a single network of full resolution mostly is in nnU-Net
PREFERENCE = ("3d_fullres", "3d_cascade_fullres", "3d_lowres", "2d")


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint says beside its weights.

    Args:
        configuration: that it was trained for.
        trainer: the class that trained it.
        mirror_axes: axes of the patch along which prediction mirrors; none where it does not.
    """

    configuration: str
    trainer: str
    mirror_axes: tuple[int, ...]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with plans, its folds (name to checkpoint; `full` is nnU-Net's `all`), and what these say."""

    path: Path
    folds: Mapping[str, Path]
    facts: CheckpointFacts


def is_nnunet_model(path: Path) -> bool:
    """Whether this is a folder with a trained nnU-Net model, or one with such folders inside."""
    return path.is_dir() and any(True for _ in model_folders(path))


def model_folders(source: Path) -> Iterable[Path]:
    """Folders that hold plans, a data set's description and folds: `source` itself, else those inside it."""
    if not source.is_dir():
        return
    if _holds_model(source):
        yield source
        return
    for file in files_below(source):
        if file.name == PLANS and _holds_model(file.parent):
            yield file.parent


def _holds_model(folder: Path) -> bool:
    return (folder / PLANS).is_file() and (folder / DATASET).is_file() and any(folder.glob("fold_*"))


def opened_folders(source: Path, facts_of: Callable[[Path], CheckpointFacts], checkpoint: CheckpointKind) -> list[ModelFolder]:
    """The folders of a model with their folds and facts, and a cascade's first stage; the default configuration first.

    Raises:
        DataError: there is no model, there are several, or folds or stages that do not belong together.
        RecordError: a checkpoint cannot be read.
    """
    paths = sorted(model_folders(source))
    if not paths:
        raise DataError(
            f"{source} is no nnU-Net model: expected {PLANS}, {DATASET} and fold_0/checkpoint_final.pth in it, or inside it"
        )
    _refuse_strangers(source, paths)
    folders = [_folder(path, facts_of, checkpoint) for path in paths]
    by_name = {folder.facts.configuration: folder for folder in folders}
    if len(by_name) < len(folders):
        told = ", ".join(f"{folder.path.name} ({folder.facts.configuration})" for folder in folders)
        raise DataError(f"{source} holds two folders of one configuration: {told}; give one of them")
    for folder in list(folders):
        previous = previous_stage(folder)
        if previous is not None and previous not in by_name:
            folders.append(_beside(folder, previous, facts_of, checkpoint))
            by_name[previous] = folders[-1]
    asked = [folder.facts.configuration for folder in folders if folder.path in paths]
    default = next((name for name in PREFERENCE if name in asked), asked[0])
    return sorted(folders, key=lambda folder: folder.facts.configuration != default)


def _refuse_strangers(source: Path, paths: list[Path]) -> None:
    """Configurations of one model have trainer and plans in common, by the names of their folders."""
    names = {path: path.name.rpartition("__")[0] or path.name for path in paths}
    models = sorted({str(path.with_name(name).relative_to(source)) for path, name in names.items() if path != source})
    if len(models) > 1:
        raise DataError(f"{source} holds several models ({', '.join(models)}); give the folder of one of them")


def _folder(path: Path, facts_of: Callable[[Path], CheckpointFacts], checkpoint: CheckpointKind) -> ModelFolder:
    file = f"checkpoint_{checkpoint}.pth"
    folds: dict[str, Path] = {}
    for place in sorted(path.glob("fold_*")):
        name = place.name.removeprefix("fold_")
        if (name.isdecimal() or name == ALL) and (place / file).is_file():
            folds[FULL if name == ALL else str(int(name))] = place / file
    if not folds:
        held = sorted({found.name for found in path.glob("fold_*/checkpoint_*.pth")})
        besides = f"; there is {', '.join(held)}" if held else ""
        raise DataError(f"{path} has no fold with {file}{besides}")
    facts = {name: facts_of(found) for name, found in folds.items()}
    first = next(iter(facts.values()))
    differing = [
        name for name, one in facts.items() if (one.configuration, one.mirror_axes) != (first.configuration, first.mirror_axes)
    ]
    if differing:
        told = "; ".join(
            f"fold {name}: {one.configuration}, mirrored along {list(one.mirror_axes)}" for name, one in facts.items()
        )
        raise DataError(f"{path}: its folds do not belong together ({told}); nnU-Net would apply all of them as the first one")
    return ModelFolder(path, folds, first)


def previous_stage(folder: ModelFolder) -> str | None:
    """The first stage of a cascade, as far as the plans can be read; their faults are told later."""
    configurations = read_object(folder.path / PLANS).get("configurations")
    own = configurations.get(folder.facts.configuration) if isinstance(configurations, dict) else None
    previous = own.get("previous_stage") if isinstance(own, dict) else None
    return previous if isinstance(previous, str) else None


def _beside(
    folder: ModelFolder, previous: str, facts_of: Callable[[Path], CheckpointFacts], checkpoint: CheckpointKind
) -> ModelFolder:
    """The trained first stage of a cascade, in the folder beside it that differs in the configuration's name alone."""
    model = folder.path.name.rpartition("__")[0]
    path = folder.path.with_name(f"{model}__{previous}" if model else previous)
    name = folder.facts.configuration
    if not _holds_model(path):
        raise DataError(f"{folder.path}: {name} takes masks of {previous}, whose trained folder {path.name} is not beside it")
    found = _folder(path, facts_of, checkpoint)
    if found.facts.configuration != previous:
        raise DataError(f"{path} holds {found.facts.configuration}, not {previous}, whose masks {name} takes")
    return found


def refuse_differing(folders: list[ModelFolder]) -> None:
    """Configurations that are applied together must have been planned together.

    Raises:
        DataError: their files differ.
    """
    first = folders[0].path
    faults = [
        Fault(
            f"{folder.path.name}/{file}",
            f"differs from that of {first.name} in {', '.join(differing)}; give one of the folders alone",
        )
        for folder in folders[1:]
        for file, keys in ((PLANS, None), (DATASET, ("labels", "channel_names", "modality", "regions_class_order")))
        if (differing := _differing(read_object(first / file), read_object(folder.path / file), keys))
    ]
    if faults:
        raise DataError(faults)


def _differing(first: JsonObject, other: JsonObject, keys: Iterable[str] | None) -> list[str]:
    return [key for key in (keys or sorted(first.keys() | other.keys())) if first.get(key) != other.get(key)]


def read_object(path: Path) -> JsonObject:
    """A JSON object.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError([Fault(path.name, f"has more than {MOST_BYTES // 2**20} MB, which no such file has")])
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError([Fault(path.name, f"cannot be read as JSON ({error})")]) from error
    if not isinstance(content, dict):
        raise DataError([Fault(path.name, f"expected a JSON object, found {type(content).__name__}")])
    return content
