"""Labels in the order in which a person should look at them."""

from __future__ import annotations

from pathlib import Path

from autoseg.progress import Progress, SilentProgress
from autoseg.records import Diagnosis
from autoseg.run_folder import RunFolder

SHOWN = 40


def doctor(
    run: str | Path,
    *,
    show: int = SHOWN,
    configuration: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Rank the labels of the training cases by how much they disagree with networks that had not seen them, and say what may be wrong.

    Writes `doctor.json` and `doctor.csv`, pictures of the first cases into `doctor/`, and a page that lists them, `doctor/index.html`.
    Nothing of the data set is changed.

    Args:
        run: folder with trained folds; cases whose fold is not trained are not judged, which the record says.
        show: how many cases to draw.
        configuration: of the plan; None takes what `select` found (of several that vote, the first), or the plan's default.
        device: `auto` takes the best one here.
        engine: what runs the networks, see `predict`.
        workers: processes that examine and draw; None takes the cores at hand.
        progress: listener.

    Returns:
        The cases, worst first.

    Raises:
        RunFolderError: nothing is trained, or no case could be judged.
    """
    from autoseg.pipeline.engines import EngineWish
    from autoseg.pipeline.examining import examined

    folder = RunFolder.open(Path(run))
    with folder.alone():
        return examined(
            folder,
            show=show,
            configuration=configuration,
            device=device,
            engine=EngineWish(engine),
            workers=workers,
            progress=progress or SilentProgress(),
        )
