"""A model in memory that segments arrays: loaded once, called as often as one likes."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from autoseg.engines.device import pick_device
from autoseg.errors import DataError, PlanError
from autoseg.inference.case import Job, PreparedCase, Segmentation, finished, prepare_volume
from autoseg.inference.export import mask_from_winners
from autoseg.inference.networks import Networks
from autoseg.inference.profiles import RULES
from autoseg.inference.trust import Assessment, assess
from autoseg.metrics.structures import painted_structures
from autoseg.parallel import ahead
from autoseg.pipeline.engines import AUTO, FEWEST, EngineWish, networks_for
from autoseg.pipeline.ensemble import ensemble_of
from autoseg.pipeline.models import opened_model
from autoseg.pipeline.recipe import recipe_for, with_recipe
from autoseg.pipeline.trained import refuse_foreign_plan, trained_default
from autoseg.processing.labels import decode_labels
from autoseg.processing.previous import encoding_of_masks
from autoseg.progress import SilentProgress
from autoseg.records import Extra, InferenceProfile, Plan, Spacing
from autoseg.volume.geometry import Geometry
from autoseg.volume.volume import Volume

NAME = "image"  # what errors call an array
COLOURS = 3
MANY = FEWEST  # images to come

Image = np.ndarray | tuple[np.ndarray, float | Sequence[float] | None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one image, all of it on the image's own grid.

    `labels` (*spatial) holds the values of `names`, 0 for background; `structures` has the values of each structure, unions included.
    `probabilities` (K, *spatial) and `uncertainty` (*spatial) are float16 where they were asked for, else None. `engine` made it in
    `seconds`. `predicted_dice`, by structure, and `review` (None: not judged) with its reasons are told by models that `select` has
    calibrated.
    """

    labels: np.ndarray
    names: dict[int, str]
    structures: dict[str, tuple[int, ...]]
    spacing_mm: Spacing | None
    probabilities: np.ndarray | None
    uncertainty: np.ndarray | None
    engine: str
    seconds: float
    warnings: tuple[str, ...]
    predicted_dice: dict[str, float]
    review: bool | None
    review_reasons: tuple[str, ...]

    def mask(self, name: str) -> np.ndarray:
        """Where a structure was found, bool (*spatial).

        Raises:
            DataError: there is no structure of this name.
        """
        if name not in self.structures:
            raise DataError(f"there is no structure {name!r}; the model knows {', '.join(self.structures)}")
        return np.isin(self.labels, self.structures[name])


@dataclass(frozen=True)
class _Stage:
    job: Job
    networks: Networks


class Predictor:
    """Segments arrays with a trained model, one at a time. It holds the networks until it is closed, or used as a context that ends.

    predictor = Predictor.load("RUN")
    found = predictor(image, spacing_mm=(0.2, 0.2))
    found.labels, found.mask("Head")
    """

    def __init__(self, plan: Plan, stages: Sequence[_Stage], resources: ExitStack):
        self.plan, self._stages = plan, tuple(stages)
        self._needs_mm = stages[-1].job.configuration.preparation.spacing_mm is not None
        self._close = weakref.finalize(self, resources.close)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        folds: Sequence[str] | None = None,
        configuration: str | None = None,
        profile: InferenceProfile | None = None,
        postprocessing: bool = True,
        device: str = "auto",
        engine: str = AUTO,
        save: Collection[Extra] = (),
    ) -> Self:
        """Open a model; for arguments and errors see `autoseg.predict`.

        Args:
            model: a run folder, an exported zip, or a trained nnU-Net v2 model.
            folds: to ensemble; None takes what the profile takes.
            configuration: None takes what `select` found best (of several that vote, the first), or the plan's default.
            profile: how much a prediction may cost; None takes what `select` found, or `balanced`.
            postprocessing: do to every mask what `select` found to help.
            device: `auto` takes the best one here.
            engine: what runs the networks; `auto` compares the quickest with PyTorch on the first three images with foreground.
            save: `probabilities`, `uncertainty`, or both: what a prediction holds beside the labels.
        """
        wish = EngineWish(engine)
        if profile is not None and profile not in RULES:
            raise PlanError(f"there is no profile {profile}; there are {', '.join(RULES)}")
        if unknown := set(save) - {"probabilities", "uncertainty"}:
            raise PlanError(f"a predictor gives probabilities and uncertainty, not {', '.join(sorted(unknown))}")
        with ExitStack() as resources:
            folder = resources.enter_context(opened_model(Path(model)))
            plan, record, where = folder.plan(), folder.model(), pick_device(device)
            refuse_foreign_plan(folder, plan, folder.dataset())
            use = recipe_for(record, configuration or trained_default(record), profile, postprocessing=postprocessing)
            last = ensemble_of(folder, plan, record, use.configurations[0], folds, use.profile)
            before = last.configuration.previous_stage
            first = () if before is None else (ensemble_of(folder, plan, record, before, None, use.profile),)
            stages = []
            for ensemble in (*first, last):
                extras = frozenset(save) if ensemble is last else frozenset()
                job = Job(plan, ensemble.configuration, save=extras)
                if ensemble is last:
                    job = with_recipe(job, use)
                networks = networks_for(ensemble.configuration, ensemble.weights, where, wish, _no_calibration, SilentProgress())
                networks.begin(MANY)
                stages.append(_Stage(job, networks))
            return cls(plan, stages, resources.pop_all())

    def __call__(self, image: np.ndarray, *, spacing_mm: float | Sequence[float] | None = None) -> Prediction:
        """Segment an image.

        Args:
            image: numbers `(*spatial)` for a model of one channel, `(channel, *spatial)` for any; a colour picture may be
                `(y, x, 3)`, too. Spatial axes are (y, x) or (z, y, x), x to the patient's left, y to the back, z up.
            spacing_mm: size of a pixel in the order of the spatial axes, or one number for all. A model that works in mm needs it.

        Raises:
            DataError: the image does not fit the model, holds NaN, or its spacing is missing.
        """
        return self._segmented(self._prepared(self._volume(image, spacing_mm)))

    def iterate(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Segment one image after another; the next is prepared while the networks are at work.

        Args:
            images: arrays, or pairs of an array and its `spacing_mm`; taken as they are needed, one ahead.

        Yields:
            In the order of the images.

        Raises:
            DataError: see above; images before the one at fault have been given out.
        """
        for prepared in ahead(lambda item: self._prepared(self._volume(*_pair(item))), images):
            yield self._segmented(prepared)

    def close(self) -> None:
        """Let go of the networks and of temporary files; nothing can be segmented afterwards."""
        self._stages = ()
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepared(self, volume: Volume) -> tuple[Volume, PreparedCase]:
        """For the first stage, with the volume for a second."""
        return volume, prepare_volume(NAME, volume, self._stages[0].job)

    def _segmented(self, case: tuple[Volume, PreparedCase]) -> Prediction:
        volume, prepared = case
        first, *second = self._stages
        found = first.networks.segment(prepared, first.job)
        for stage in second:
            encoding = encoding_of_masks(self.plan.targets, self.plan.regions)
            previous = decode_labels(self._labels(found, first.job)[None], encoding, NAME)
            found = stage.networks.segment(prepare_volume(NAME, volume, stage.job, previous), stage.job)
        job = self._stages[-1].job
        judged = Assessment({}, None, ())
        winners, evidence = finished(found, job)
        if job.trust is not None and evidence is not None:
            judged = assess(job.trust, evidence, winners, self.plan, found.prepared.spacing_mm)
        return Prediction(
            labels=mask_from_winners(winners, self.plan.targets, self.plan.regions),
            names={target.output_value: target.name for target in self.plan.targets},
            structures=painted_structures(self.plan.targets, self.plan.derived),
            spacing_mm=found.prepared.spacing_mm,
            probabilities=found.probabilities,
            uncertainty=found.uncertainty,
            engine=found.engine,
            seconds=found.seconds,
            warnings=found.prepared.warnings,
            predicted_dice=judged.predicted_dice,
            review=judged.review,
            review_reasons=judged.reasons,
        )

    def _labels(self, found: Segmentation, job: Job) -> np.ndarray:
        winners, _ = finished(found, job)
        return mask_from_winners(winners, self.plan.targets, self.plan.regions)

    def _volume(self, image: np.ndarray, spacing_mm: float | Sequence[float] | None) -> Volume:
        if not self._stages:
            raise ValueError("the predictor is closed; load the model again")
        array, rank, channels = np.asarray(image), self.plan.rank, len(self.plan.channels)
        if array.dtype.kind not in "biuf":
            raise DataError(f"an image is an array of numbers, not of {array.dtype}")
        if array.ndim == rank and channels == 1:
            array = array[None]
        elif rank == 2 and array.ndim == 3 and channels == COLOURS == array.shape[-1] != array.shape[0]:
            array = np.moveaxis(array, -1, 0)
        if array.ndim != rank + 1 or len(array) != channels or not array.size:
            axes = "(y, x)" if rank == 2 else "(z, y, x)"
            wanted = f"{channels} channel{'s' if channels > 1 else ''} ({', '.join(self.plan.channels)}) in front of {axes}"
            raise DataError(f"an image of shape {np.shape(image)} does not fit the model, which takes {wanted}")
        spacing = (float(spacing_mm),) * rank if isinstance(spacing_mm, (int, float, np.number)) else spacing_mm
        if spacing is None and self._needs_mm:
            raise DataError("this model works in mm: give spacing_mm, the size of a pixel along each spatial axis")
        if spacing is not None and (len(spacing) != rank or not all(np.isfinite(step) and step > 0 for step in spacing)):
            raise DataError(f"spacing_mm is one positive number for each of {rank} axes, not {spacing_mm}")
        geometry = Geometry.plain(rank, None if spacing is None else tuple(map(float, spacing)))
        return Volume(np.ascontiguousarray(array, np.float32), geometry)


def _pair(item: Image) -> tuple[np.ndarray, float | Sequence[float] | None]:
    return item if isinstance(item, tuple) else (item, None)


def _no_calibration() -> Iterable[torch.Tensor]:
    raise PlanError("integers of eight bits are calibrated with images; take another engine, or `autoseg predict` for a folder")
