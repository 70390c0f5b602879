"""A public data set by its name -> a folder that `plan` reads: downloaded, checked, and unpacked where its layout wants that."""

from autoseg.stages.fetch.downloading import download, unreached
from autoseg.stages.fetch.mark import Mark, changed_of, missing_of
from autoseg.stages.fetch.sources import DOIS, SOURCES, RemoteFile, Source, files_of
from autoseg.stages.fetch.unpacking import is_archive, sweep, unpack

__all__ = [
    "DOIS",
    "SOURCES",
    "Mark",
    "RemoteFile",
    "Source",
    "changed_of",
    "download",
    "files_of",
    "is_archive",
    "missing_of",
    "sweep",
    "unpack",
    "unreached",
]
