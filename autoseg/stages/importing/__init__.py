"""A set that other programs wrote -> a data set that `plan` reads: images matched, labels drawn, written, and shown on a sheet."""

from autoseg.stages.importing.choosing import Choice, choice_of, renamed
from autoseg.stages.importing.dicom import import_dicom
from autoseg.stages.importing.labels import (
    declaration,
    declaration_of,
    naming,
    options_of,
)
from autoseg.stages.importing.matching import Source, matched, sources_of, without_chosen_mask
from autoseg.stages.importing.reporting import report_of
from autoseg.stages.importing.sheet import save_import_sheet
from autoseg.stages.importing.spacings import spacings_of
from autoseg.stages.importing.subjects import subjects_of
from autoseg.stages.importing.undeclared import own_names
from autoseg.stages.importing.writing import (
    REPORT,
    Written,
    hidden,
    import_cases,
    keep_one_rank,
    save_dataset,
    sizes_of,
)

__all__ = [
    "REPORT",
    "Choice",
    "Source",
    "Written",
    "choice_of",
    "declaration",
    "declaration_of",
    "hidden",
    "import_cases",
    "import_dicom",
    "keep_one_rank",
    "matched",
    "naming",
    "options_of",
    "own_names",
    "renamed",
    "report_of",
    "save_dataset",
    "save_import_sheet",
    "sizes_of",
    "sources_of",
    "spacings_of",
    "subjects_of",
    "without_chosen_mask",
]
