"""The one place that knows file names inside a run folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import RunFolderError
from autoseg.records import Configuration, Dataset, Fingerprint, MachineProfile, Model, ModelCard, Plan, Splits
from autoseg.records.base import write_texts

PARTS = (
    "dataset.json",
    "fingerprint.json",
    "machine.json",
    "splits.json",
    "plan.json",
    "model.json",
    "scores.json",
    "scores.csv",
    "selection.json",
    "selection",
    "out_of_fold",
    "doctor.json",
    "doctor.csv",
    "doctor",
    "models",
    "prepared",
    "tensorboard",
    "mlflow",
    "augmentation.png",
    "card.json",
    "MODEL_CARD.md",
)


LOCK = ".judging.lock"
FOLD = re.compile(r"\d+|full")
RECORDS_THAT_PREDICT = ("dataset.json", "plan.json", "model.json")
WEIGHTS = re.compile(r"models/(?!\.)[^/\\:]+/fold_(?P<fold>\d+|full)/(?!\.)[^/\\:]+\.safetensors")  # relative to the run
HANDED_OVER = re.compile(rf"(dataset|plan|model|card)\.json|MODEL_CARD\.md|{WEIGHTS.pattern}")


def read_plan(path: Path) -> Plan:
    """The plan of a run, or in a file.

    Raises:
        RunFolderError: a folder without a plan.
        RecordError: a file that is no plan.
    """
    return RunFolder.open(path).plan() if path.is_dir() else Plan.load(path)


@dataclass(frozen=True)
class RunFolder:
    """Paths and records of one run; nothing is created before it is written."""

    root: Path

    @classmethod
    def create(cls, root: Path, *, overwrite: bool) -> RunFolder:
        """A folder to plan into.

        Raises:
            RunFolderError: it holds another run (unless `overwrite`) or something else.
        """
        if root.exists() and not root.is_dir():
            raise RunFolderError(f"{root} is a file; give a folder for the run")
        held = sorted(path.name for path in root.iterdir()) if root.exists() else []
        foreign = [name for name in held if name not in PARTS and not name.startswith(".")]
        if foreign or ("dataset.json" in held and "fingerprint.json" not in held):  # the latter may be a data set's own
            named = ", ".join((foreign or held)[:3])
            raise RunFolderError(f"{root} holds other files ({named}); give an empty or new folder for the run")
        if "plan.json" in held and not overwrite:
            raise RunFolderError(f"{root} holds a run already; choose another folder, or --overwrite to plan it anew")
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> RunFolder:
        """A folder that has been planned.

        Raises:
            RunFolderError: there is no plan in it.
        """
        if not (root / "plan.json").is_file():
            raise RunFolderError(f"{root} is not a run: it has no plan.json; make one with `autoseg plan DATASET {root}`")
        return cls(root)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else judges this run meanwhile: `select` and `doctor` write the same files.

        Raises:
            RunFolderError: somebody does.
        """
        from filelock import FileLock, Timeout  # it brings asyncio along, which planning has no time for

        lock = FileLock(self.root / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RunFolderError(
                f"{self.root}: another `select` or `doctor` works on this run; wait until it has ended"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def save(self, *records: Dataset | Fingerprint | MachineProfile | Splits | Plan | Model | ModelCard) -> None:
        """Write records to their files, none before all could be written; the last one vouches for the others."""
        names: dict[type, str] = {
            Dataset: "dataset.json",
            Fingerprint: "fingerprint.json",
            MachineProfile: "machine.json",
            Splits: "splits.json",
            Plan: "plan.json",
            Model: "model.json",
            ModelCard: "card.json",
        }
        write_texts({self.root / names[type(record)]: record.text() for record in records})

    def dataset(self) -> Dataset:
        """The data set that was planned for."""
        return Dataset.load(self.root / "dataset.json")

    def fingerprint(self) -> Fingerprint:
        """What was measured on its cases."""
        self._refuse_without_data(self.fingerprint_file)
        return Fingerprint.load(self.root / "fingerprint.json")

    def machine(self) -> MachineProfile:
        """The machine that was planned for."""
        self._refuse_without_data(self.root / "machine.json")
        return MachineProfile.load(self.root / "machine.json")

    def splits(self) -> Splits:
        """The folds.

        Raises:
            RunFolderError: the run was imported, and has none.
        """
        self._refuse_without_data(self.splits_file)
        return Splits.load(self.splits_file)

    def _refuse_without_data(self, file: Path) -> None:
        """A model that was imported has neither cases nor what was found out of them."""
        if not file.is_file() and not self.dataset().cases:
            raise RunFolderError(
                f"{self.root} is an imported model, which came without its data: it can predict and be exported, and nothing else"
            )

    @property
    def splits_file(self) -> Path:
        """Where the folds are."""
        return self.root / "splits.json"

    def plan(self) -> Plan:
        """The plan."""
        return Plan.load(self.root / "plan.json")

    @property
    def model_file(self) -> Path:
        """What predict uses."""
        return self.root / "model.json"

    def model(self) -> Model:
        """What was trained.

        Raises:
            RunFolderError: nothing yet.
        """
        if not self.has_model_record:
            raise RunFolderError(f"{self.root} has no trained model yet; train one with `autoseg train {self.root} --fold 0`")
        return Model.load(self.model_file)

    @property
    def has_model_record(self) -> bool:
        """Whether any fold was trained to its end."""
        return (self.root / "model.json").is_file()

    def card(self) -> ModelCard | None:
        """What was told of a model when it was handed over; None in the run that it was trained in."""
        path = self.root / "card.json"
        return ModelCard.load(path) if path.is_file() else None

    @property
    def card_text(self) -> Path:
        """The same as a page to read."""
        return self.root / "MODEL_CARD.md"

    @property
    def fingerprint_file(self) -> Path:
        """What was measured; absent where a model came from elsewhere."""
        return self.root / "fingerprint.json"

    @property
    def augmentation_picture(self) -> Path:
        """Training patches as training sees them."""
        return self.root / "augmentation.png"

    @property
    def has_models(self) -> bool:
        """Whether any fold has a checkpoint."""
        return any(self.root.glob("models/*/fold_*/checkpoint.json"))

    def prepared(self, configuration: Configuration) -> Path:
        """Prepared cases of a configuration; safe to delete."""
        return self.root / "prepared" / configuration.preparation.digest()

    def previous_masks(self, configuration: Configuration) -> Path:
        """Masks of the first stage on the grid of a cascade's second stage; safe to delete."""
        return self.prepared(configuration) / f"previous-{configuration.previous_stage}"

    def fold(self, configuration: str, fold: str) -> Path:
        """A fold's folder; `fold` is its number or `full`."""
        return self.root / "models" / configuration / f"fold_{fold}"

    def folds(self, configuration: str) -> tuple[str, ...]:
        """Folds of a configuration that have a checkpoint."""
        return tuple(fold for fold in self.begun_folds(configuration) if self.checkpoint(configuration, fold).is_file())

    def begun_folds(self, configuration: str) -> tuple[str, ...]:
        """Folds of a configuration that have a folder, with a checkpoint or not yet; a copy under another name is none."""
        folders = [path for path in (self.root / "models" / configuration).glob("fold_*") if path.is_dir()]
        return tuple(sorted(name for path in folders if FOLD.fullmatch(name := path.name.removeprefix("fold_"))))

    def journal(self, configuration: str, fold: str) -> Path:
        """A line for every epoch of the fold's training."""
        return self.fold(configuration, fold) / "journal.jsonl"

    def checkpoint(self, configuration: str, fold: str) -> Path:
        """How far the fold's training has come."""
        return self.fold(configuration, fold) / "checkpoint.json"

    def train_log(self, configuration: str, fold: str) -> Path:
        """What a fold's process printed, where folds are trained side by side."""
        return self.fold(configuration, fold) / "train.log"

    def running(self, configuration: str, fold: str) -> Path:
        """There while a process works on the fold."""
        return self.fold(configuration, fold) / "running.json"

    def tensorboard(self, configuration: str, fold: str) -> Path:
        """What TensorBoard reads of a fold; `tensorboard --logdir` of the folder two above shows all."""
        return self.root / "tensorboard" / configuration / f"fold_{fold}"

    @property
    def mlflow(self) -> Path:
        """Where MLflow keeps all folds, unless a server is named."""
        return self.root / "mlflow"

    def mlflow_run(self, configuration: str, fold: str) -> Path:
        """Which of MLflow's runs is this fold's."""
        return self.fold(configuration, fold) / "mlflow_run.json"

    def fold_scores(self, configuration: str, fold: str) -> Path:
        """Scores of the fold's whole-image validation."""
        return self.fold(configuration, fold) / "scores.json"

    def nnunet_summary(self, configuration: str, fold: str) -> Path:
        """The same as nnU-Net writes it, where nnU-Net writes it."""
        return self.validation(configuration, fold) / "summary.json"

    def validation(self, configuration: str, fold: str) -> Path:
        """Masks predicted for the fold's validation cases."""
        return self.fold(configuration, fold) / "validation"

    def selected(self, configuration: str, profile: str) -> Path:
        """Out-of-fold predictions of a configuration, or of several that vote, with an inference profile; safe to delete."""
        return self.root / "selection" / configuration / profile

    @property
    def held_out_predictions(self) -> Path:
        """Predictions of the subjects that were kept out of every fold; safe to delete."""
        return self.root / "selection" / "held_out"

    @property
    def out_of_fold(self) -> Path:
        """For every training case the mask of networks that had not seen it, as `predict` would write it, with scores."""
        return self.root / "out_of_fold"

    @property
    def selection_file(self) -> Path:
        """What was tried, and what was found."""
        return self.root / "selection.json"

    @property
    def doctor_file(self) -> Path:
        """The labels in the order in which to look at them."""
        return self.root / "doctor.json"

    @property
    def doctor_table(self) -> Path:
        """The same as a table."""
        return self.root / "doctor.csv"

    @property
    def doctor(self) -> Path:
        """Pictures of the labels to look at first, with a page."""
        return self.root / "doctor"
