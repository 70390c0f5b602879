"""A public data set by its name -> a folder that `plan` reads: downloaded, checked, and unpacked where its layout wants that."""

from autoseg.stages.fetch.downloading import download
from autoseg.stages.fetch.sources import SOURCES, RemoteFile, Source, files_of
from autoseg.stages.fetch.unpacking import is_archive, unpack

__all__ = ["SOURCES", "RemoteFile", "Source", "download", "files_of", "is_archive", "unpack"]
