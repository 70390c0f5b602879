"""Networks as graphs for other programs: a file per fold, beside it what has to be done before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from autoseg.engines.candidates import DISTRIBUTION
from autoseg.engines.graph_files import write_openvino, write_torchscript
from autoseg.engines.onnx_graph import write_onnx
from autoseg.engines.torch_engine import load_networks
from autoseg.engines.weights import file_sha256
from autoseg.errors import PlanError, RunFolderError
from autoseg.records import GraphFile
from autoseg.stages.export.contents import Contents
from autoseg.stages.export.description import describe

GraphFormat = Literal["onnx", "openvino", "torchscript"]
DESCRIPTION = "inference.json"


@dataclass(frozen=True)
class GraphWriter:
    """How one format is written: file ending, function, and what it needs beside torch, with the extra that brings it."""

    ending: str
    write: Callable[..., None]
    modules: tuple[str, ...] = ()
    extra: str = ""


GRAPHS: dict[GraphFormat, GraphWriter] = {
    "onnx": GraphWriter(".onnx", write_onnx, ("onnx", "onnxscript"), "onnx"),
    "openvino": GraphWriter(".xml", write_openvino, ("openvino",), "cpu"),
    "torchscript": GraphWriter(".pt", write_torchscript),
}


def refuse_missing(form: GraphFormat) -> None:
    """Ask for the extra that a format needs, before any work is done.

    Raises:
        PlanError: with the command that installs it.
    """
    writer = GRAPHS[form]
    if missing := [module for module in writer.modules if find_spec(module) is None]:
        raise PlanError(
            f'--to {form} needs {" and ".join(missing)}, not installed here: pip install "{DISTRIBUTION}[{writer.extra}]"'
        )


def refuse_second_stage(contents: Contents, form: str) -> None:
    """A graph sees the image alone.

    Raises:
        RunFolderError: the network also needs the masks of another.
    """
    previous = contents.configuration.previous_stage
    if previous is not None:
        raise RunFolderError(
            f"{contents.configuration.name} is the second stage of a cascade: beside the image it needs the masks of {previous}, which a "
            f"graph cannot make; take --to zip, which holds both stages, or --configuration {previous}"
        )


def write_graphs(contents: Contents, form: GraphFormat, folder: Path, on_fold: Callable[[int, str], None]) -> None:
    """Write `fold_<name><ending>` for every fold, and `inference.json`.

    Args:
        contents: of a single stage.
        form: of the graphs.
        folder: to write into.
        on_fold: called with the number of folds done and the last one's name.
    """
    writer, configuration = GRAPHS[form], contents.configuration
    patch, files = configuration.training.patch_size, []
    for done, (fold, weights) in enumerate(zip(contents.folds, contents.weights(), strict=True), start=1):
        path = folder / f"fold_{fold.fold}{writer.ending}"
        (network,) = load_networks(configuration.network, [weights])
        writer.write(network, path, patch, in_channels=configuration.network.in_channels)
        files.append(GraphFile(fold=fold.fold, file=path.name, sha256=file_sha256(path)))
        on_fold(done, fold.fold)
    describe(contents.plan, configuration, contents.profile, files, contents.model.selection).save(folder / DESCRIPTION)
