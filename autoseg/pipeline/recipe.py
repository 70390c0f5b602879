"""How a model is applied: as `select` found best, unless the user says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autoseg.inference.case import Job
from autoseg.pipeline.trained import trained_default
from autoseg.records import InferenceProfile, Model, PostprocessingStep, Selection, Trust

DEFAULT_PROFILE: InferenceProfile = "balanced"
NEVER_JUDGED = "no mask is flagged for review, and no interval is told, before `autoseg select` has judged the run's folds"


@dataclass(frozen=True)
class Recipe:
    """Configurations (several vote together), inference profile, and what is done to the masks."""

    configurations: tuple[str, ...]
    profile: InferenceProfile
    postprocessing: tuple[PostprocessingStep, ...]
    trust: Trust | None = None
    not_judged: str | None = None  # why nothing is flagged for review


def with_recipe(job: Job, recipe: Recipe) -> Job:
    """The job of the networks that decide, with what is done to their masks and told of them."""
    trust = recipe.trust
    return replace(
        job,
        postprocessing=recipe.postprocessing,
        evidence=trust is not None,
        temperature=1.0 if trust is None else trust.temperature,
        trust=trust,
        not_judged=recipe.not_judged,
    )


def recipe_for(
    model: Model, configuration: str | None, profile: InferenceProfile | None, *, postprocessing: bool = True
) -> Recipe:
    """What the user names, else what was selected, else the default.

    Args:
        model: of the run.
        configuration: asked for; steps that were selected for others are left out then, and so is what was learned of their worth.
        profile: asked for; what was learned with another says nothing about it.
        postprocessing: False leaves out the steps in any case, and what was learned with them.
    """
    selection = model.selection
    if selection is None:
        return Recipe((configuration or trained_default(model),), profile or DEFAULT_PROFILE, (), not_judged=NEVER_JUDGED)
    names = selection.configurations if configuration is None else (configuration,)
    steps = selection.postprocessing if postprocessing and names == selection.configurations else ()
    same = (names, profile or selection.profile, steps) == (
        selection.configurations,
        selection.profile,
        selection.postprocessing,
    )
    if not same:
        return Recipe(names, profile or selection.profile, steps, not_judged=_applied_otherwise(selection))
    trust = selection.trust
    why = NEVER_JUDGED if trust is None else trust.review_off if trust.review is None else None
    return Recipe(names, profile or selection.profile, steps, trust, why)


def _applied_otherwise(selection: Selection) -> str:
    way = f"{' and '.join(selection.configurations)}, profile {selection.profile}"
    after = " and its postprocessing" if selection.postprocessing else ""
    return f"what masks are worth was learned for {way}{after}; of other ways nothing is known, so no mask is flagged for review"
