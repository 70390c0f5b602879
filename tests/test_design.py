"""Rules of the house that no other tool checks, read off the source text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "autoseg"
TESTS = Path(__file__).resolve().parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 400
DRAWERS = re.compile(r"^(utils?|helpers?|misc|common|manager|handler)$")


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix()


def _lines(pattern: str, paths: list[Path]) -> list[str]:
    """Every line that matches, with its place."""
    regex = re.compile(pattern)
    return [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if regex.search(line)
    ]


def _imports(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _importing(*modules: str, allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{_name(path)} imports {name}"
        for path in SOURCES
        if not _name(path).startswith(tuple(f"autoseg/{place}" for place in allowed))
        for name in _imports(path)
        if name.split(".")[0] in modules
    ]


def test_the_searches_find_what_is_there() -> None:
    assert len(SOURCES) > 20
    assert _lines(r"^import os$", [PACKAGE / "parallel.py"])
    assert "autoseg/parallel.py imports multiprocessing" in _importing("multiprocessing")
    assert _importing("multiprocessing", allowed=("",)) == []


def test_environment_is_not_read() -> None:
    assert _lines(r"os\.environ|os\.getenv|from os import .*(environ|getenv)", [p for p in SOURCES if p.name != "cli.py"]) == []


def test_processes_come_from_one_door() -> None:
    assert _importing("multiprocessing", "concurrent", "joblib", "subprocess", allowed=("parallel.py", "learning/")) == []


def test_arguments_are_parsed_at_the_door() -> None:
    assert _importing("argparse", "typer", "click", "rich", allowed=("cli",)) == []


def test_nothing_is_pickled() -> None:
    assert _importing("pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal") == []
    assert _lines(r"torch\.save\(|allow_pickle\s*=\s*True|weights_only\s*=\s*False", SOURCES) == []


def test_checkpoints_of_others_are_read_without_running_code() -> None:
    (line,) = _lines(r"torch\.load\(", SOURCES)
    assert line.startswith("autoseg/engines/nnunet_weights.py:")
    assert "weights_only=True" in line


def test_the_library_does_not_print() -> None:
    assert _lines(r"^\s*print\(", SOURCES) == []


def test_nothing_is_left_unfinished() -> None:
    assert _lines(r"raise NotImplementedError|\bTODO\b|\bFIXME\b|\bXXX\b|\b[Ff]or now\b|\b[Pp]laceholder", SOURCES) == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module says in its first line what it is for"


def test_files_are_named_for_their_subject() -> None:
    folders = {path.parent for path in SOURCES}
    assert [_name(p) for p in [*SOURCES, *folders] if DRAWERS.match(p.stem)] == []


def test_signatures_hold_no_untyped_dicts() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = node.args
                notes = [a.annotation for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)] + [node.returns]
                found += [f"{_name(path)}:{node.lineno} {node.name}" for n in notes if n and "dict[str, Any]" in ast.unparse(n)]
    assert found == []


def test_file_names_inside_a_run_are_known_in_one_place() -> None:
    """Other layouts' `dataset.json` and `splits_final.json` are their own affair. The files of one fold belong to training."""
    of_training = ("autoseg/learning/", "autoseg/stages/train/")
    of_a_run = r"[\"'/](fingerprint|machine|plan|splits|model)\.json[\"']|[\"'](prepared|models)[\"']"
    of_a_fold = r"[\"'/](checkpoint\.json|weights[\w-]*\.safetensors|journal\.jsonl)[\"']"
    rest = [path for path in SOURCES if _name(path) != "autoseg/run_folder.py"]
    assert _lines(of_a_run, rest) == []
    assert _lines(of_a_fold, [path for path in rest if not _name(path).startswith(of_training)]) == []


def test_tests_mirror_the_package() -> None:
    """A folder of tests is a folder of the package, so that a file's tests are found without searching."""
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert [folder.as_posix() for folder in sorted(folders) if not (PACKAGE / folder).is_dir()] == []
