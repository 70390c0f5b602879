"""What reasons have in common: sources, and settings as a user may type them."""

from __future__ import annotations

from autoseg.records import Configuration

SOURCE = " (Isensee et al. 2021)"
TAKEN_OVER = "ours: a plan that is made from another run takes over its network, patch and grid, so that its weights fit"
WITHOUT_SOURCE = "plan without the other run"


def set_to(configuration: Configuration, field: str, value: str) -> str:
    """`--set ...` for one configuration, as a piece of a template.

    Without a name it would change every configuration of the plan, and plans of volumes hold networks of two ranks.

    Args:
        configuration: to be changed; that of 2D images stands alone in its plan, and needs no name.
        field: with its section, as in `training.batch_size`.
        value: a template.
    """
    alone = configuration.network.rank == 2 and configuration.slice_axis is None
    name = configuration.name.replace("{", "{{").replace("}", "}}")
    return f"--set {'' if alone else name + '.'}{field}={value}"
