"""Public data sets that can be fetched by name: where they are published, under which licence, and what is taken of them.

Those of a repository with a DOI are looked up there, checksums included; the tasks of the Medical Segmentation Decathlon are where MONAI
takes them from, with its checksums.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One file: its name, where it is, and `algorithm:digits` of its content."""

    name: str
    url: str
    checksum: str


@dataclass(frozen=True)
class Source:
    """A published set.

    Args:
        name: that users know.
        title: in words.
        licence: of the data.
        cite: whom to cite.
        doi: of the repository; None: a task of the Decathlon.
        wanted: which of its files.
        unpack: whether archives are unpacked; else the layout reads them as they are.
        strip: whether an archive's outermost folder is left out.
        gigabytes: to be downloaded, about; None: not known.
    """

    name: str
    title: str
    licence: str
    cite: str
    doi: str | None = None
    task: str | None = None
    wanted: str = ".*"
    unpack: bool = True
    strip: bool = False
    gigabytes: float | None = None


DOIS = "https://doi.org"
DECATHLON = "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13:4128 (2022)"
TASKS = {
    "brain-tumour": "Task01_BrainTumour",
    "heart": "Task02_Heart",
    "liver": "Task03_Liver",
    "hippocampus": "Task04_Hippocampus",
    "prostate": "Task05_Prostate",
    "lung": "Task06_Lung",
    "pancreas": "Task07_Pancreas",
    "hepatic-vessel": "Task08_HepaticVessel",
    "spleen": "Task09_Spleen",
    "colon": "Task10_Colon",
}
SOURCES: Mapping[str, Source] = {
    one.name: one
    for one in (
        Source(
            name="fetal-head",
            title="Large-Scale Annotation Dataset for Fetal Head Biometry in Ultrasound Images",
            licence="CC BY 4.0",
            cite="Alzubaidi et al., Data in Brief 51:109708 (2023)",
            doi="10.5281/zenodo.8265464",
            wanted=r".*\.zip",
            unpack=False,
            gigabytes=2.4,
        ),
        Source(
            name="hc18",
            title="Automated measurement of fetal head circumference (training set)",
            licence="CC BY 4.0",
            cite="van den Heuvel et al., PLOS ONE 13:e0200412 (2018)",
            doi="10.5281/zenodo.1327317",
            wanted=r"training_set.*",
        ),
        *(
            Source(
                name=name,
                title=f"Medical Segmentation Decathlon, {task}",
                licence="CC BY-SA 4.0",
                cite=DECATHLON,
                task=task,
                strip=True,
            )
            for name, task in TASKS.items()
        ),
    )
}


def files_of(source: Source) -> tuple[RemoteFile, ...]:
    """The wanted files; those of a DOI are asked for where it is published.

    Raises:
        OSError, ValueError: the repository does not answer, or has no such files.
    """
    if source.doi is None:
        from monai.apps import DecathlonDataset

        task = str(source.task)
        url = DecathlonDataset.resource[task]
        return (RemoteFile(url.rsplit("/", 1)[-1], url, f"md5:{DecathlonDataset.md5[task]}"),)
    import pooch
    from pooch.downloaders import DOIDownloader, doi_to_repository

    listing = pooch.create(path=pooch.os_cache("autoseg"), base_url=f"doi:{source.doi}", registry=None)
    listing.load_registry_from_doi()
    repository = doi_to_repository(source.doi, headers=DOIDownloader().headers)
    wanted = [name for name in sorted(listing.registry) if re.fullmatch(source.wanted, name)]
    return tuple(RemoteFile(name, repository.download_url(name), listing.registry[name]) for name in wanted)
