"""Plain folders: images, and a mask in colours for each; a file names the colours, or the caller does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from autoseg.annotations.base import DEFAULTS, AnnotatedImage, AnnotationSet, Colour, Format, ReadOptions
from autoseg.annotations.colours import (
    BACKGROUND,
    ColourTable,
    Entry,
    any_entries,
    colour_of,
    labelmap_entries,
    table_of,
    with_options,
)
from autoseg.annotations.reading import bare, find_child, object_in, pictures_under
from autoseg.annotations.unnamed import Survey, by_half, level_of, told, told_half
from autoseg.errors import DataError, Fault
from autoseg.volume.files import LOSSY_SUFFIXES

IMAGES = ("images", "imgs", "image", "img")
MASKS = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentations", "segmentation")
TABLES = ("labelmap.txt", "label_colors.txt", "labels.txt", "classes.txt", "classes.csv", "class_dict.csv", "labels.csv")
DECLARATION = "dataset.json"
TAIL = re.compile(r"[-_. ](masks?|labels?|segm?|segmentation|annotation|gt|colou?rs?)$", re.IGNORECASE)
CURE = "name them with --structure NAME=R,G,B (or NAME=255 of masks in black and white), or in labels.txt with a line 'name r,g,b' each"


def recognise(path: Path) -> str | None:
    """A folder of images beside one of masks that are pictures and bear the images' names."""
    images, masks = find_child(path, *IMAGES), find_child(path, *MASKS)
    if images is None or masks is None:
        return None
    pictures = _pictures(images)
    if not any(_key(bare(file, masks), pictures) in pictures for file in pictures_under(masks)):
        return None
    table = _table_file(path)
    return f"found {images.name}/, {masks.name}/ and {table.name if table else 'no file that names colours'}"


def read(path: Path, options: ReadOptions = DEFAULTS) -> AnnotationSet:
    """All masks. Colours that nobody named are told in a note, and so are borders; what becomes of the former is decided where masks are decoded.

    Raises:
        DataError: no masks, or no colour is named; all that occur are told.
    """
    folder = find_child(path, *MASKS)
    masks = pictures_under(folder) if folder else []
    if folder is None or not masks:
        raise DataError(f"{path} holds no folder of masks; put pictures in colours into masks/, beside images/")
    _refuse_rivals(path, folder)
    table = with_options(_table(path), options)
    survey, readable, faults = _surveyed(masks, table)
    nameless = not table.labels
    if nameless and (own := survey.with_own_greys(any(file.suffix.casefold() in LOSSY_SUFFIXES for file in readable))):
        survey = own
        table = ColourTable(tuple(name for name in own.colours.values() if name), own.colours, own.values)
    borders = survey.borders() if table.labels else {}
    strangers = {one: found for one, found in survey.unnamed.items() if one not in borders}
    if not table.labels:
        raise DataError(
            f"{path} names no colours; in {survey.images} masks occur {told(strangers, survey.images) or 'none'}; {CURE}"
        )
    halved = _by_half(table, borders)
    notes = _notes(survey, borders) if halved is None else [told_half(survey, borders)]
    borders = borders if halved is None else halved
    if nameless:
        named = ", ".join(f"{colour[0]} is called {name}" for colour, name in table.colours.items() if name)
        notes.insert(0, f"nobody names the values in {folder.name}/: {named}; call them with --structure NAME=VALUE")
    if strangers:
        notes.insert(
            0, f"{len(strangers)} colours occur in {folder.name}/ that nobody named: {told(strangers, survey.images)}; {CURE}"
        )
    images, without = _matched(path, folder, readable, masks)
    if options.empty:
        images += tuple(AnnotatedImage(name, None) for name in without)
    else:
        cure = "give it a black one if nothing is on it, or give --missing empty for all such images"
        faults += [Fault(name, f"has no mask in {folder.name}/; {cure}") for name in without]
    colours = {**table.colours, **{one: name for one, name in borders.items() if isinstance(one, tuple)}}
    values = {**table.values, **{one: name for one, name in borders.items() if isinstance(one, int)}}
    return AnnotationSet("colour-masks", table.labels, images, colours, values, tuple(faults), tuple(notes))


def _refuse_rivals(path: Path, folder: Path) -> None:
    """Refuse to choose between two folders of masks, such as vessels and the field of view, where no file names colours of one."""
    images = find_child(path, *IMAGES)
    pictures = _pictures(images)
    if images is None or names_colours(path):
        return
    others = [
        one for one in sorted(path.iterdir()) if one.is_dir() and one not in (images, folder) and not one.name.startswith(".")
    ]
    rivals = [
        one
        for one in others
        if 2 * sum(_key(bare(file, one), pictures) in pictures for file in pictures_under(one)) >= len(pictures)
    ]
    if rivals:
        names = " and ".join(f"{one.name}/" for one in (folder, *rivals))
        first = next(file for file in pictures_under(rivals[0]) if _key(bare(file, rivals[0]), pictures) in pictures)
        tail = bare(first, rivals[0]).removeprefix(_key(bare(first, rivals[0]), pictures))
        told = f"--image '{images.name}/{{case}}.*' --label 'NAME={rivals[0].name}/{{case}}{tail}.*'"
        raise DataError(
            f"{names} both hold pictures that are called as those of {images.name}/; say by patterns which are the masks: {told}"
        )


def _surveyed(masks: Iterable[Path], table: ColourTable) -> tuple[Survey, list[Path], list[Fault]]:
    """What occurs in the masks, those that could be read, and faults of the others."""
    survey, readable, faults = Survey(table.colours, table.values), [], list[Fault]()
    for file in masks:
        try:
            survey.add(file)
        except DataError as error:
            faults += error.faults
        else:
            readable.append(file)
    return survey, readable, faults


def _by_half(table: ColourTable, borders: Mapping[Colour | int, str]) -> dict[Colour | int, str] | None:
    """See `by_half`; None where there are several structures, or colours."""
    own = {level_of(colour) for colour, name in table.colours.items() if name} | {
        value for value, name in table.values.items() if name
    }
    (grey, *others) = own or {None}
    if not borders or others or len(table.labels) != 1 or grey is None or any(level_of(one) is None for one in borders):
        return None
    return by_half(borders, grey, table.labels[0])


def _pictures(images: Path | None) -> dict[str, str]:
    """Names of images in their folder, by themselves without their suffixes."""
    return {bare(file, images): file.relative_to(images).as_posix() for file in pictures_under(images)} if images else {}


def _table_file(path: Path) -> Path | None:
    found = next((path / name for name in TABLES if (path / name).is_file() and _entries(path / name)), None)
    return found or (path / DECLARATION if _declared(path) else None)


def names_colours(path: Path) -> bool:
    """Whether a file says what colours mean."""
    return _table_file(path) is not None


def _table(path: Path) -> ColourTable:
    file = _table_file(path)
    if file is None:
        return ColourTable()
    table = table_of(_declared(path) if file.name == DECLARATION else _entries(file), file.name)
    return ColourTable(table.labels, table.colours)  # grey values mean greys: nobody says that they are places in a table


def _entries(file: Path) -> list[Entry]:
    return labelmap_entries(file) if file.name == "labelmap.txt" else any_entries(file)


def _declared(path: Path) -> list[tuple[str, Colour]]:
    """`colours` of a `dataset.json`, by name."""
    named = object_in(path / DECLARATION).get("colours") if (path / DECLARATION).is_file() else None
    pairs = [(str(name), colour_of(text)) for name, text in named.items()] if isinstance(named, dict) else []
    wrong = [name for name, colour in pairs if colour is None]
    if wrong:
        raise DataError([Fault(DECLARATION, f"the colour of {', '.join(wrong)} is no 'r,g,b' of numbers from 0 to 255; mend it")])
    return [(name, colour) for name, colour in pairs if colour is not None]


def _matched(
    path: Path, folder: Path, readable: Iterable[Path], masks: Iterable[Path]
) -> tuple[tuple[AnnotatedImage, ...], list[str]]:
    """Masks that could be read, by the name of their image where there is one, and images without any mask."""
    pictures = _pictures(find_child(path, *IMAGES))
    keys = {mask: _key(bare(mask, folder), pictures) for mask in masks}
    found = tuple(AnnotatedImage(pictures.get(keys[mask], keys[mask]), None, label_map=mask) for mask in readable)
    with_mask = set(keys.values())
    return found, [name for key, name in pictures.items() if key not in with_mask]


def _key(mask: str, pictures: dict[str, str]) -> str:
    short = TAIL.sub("", mask)
    return short if mask not in pictures and short in pictures else mask


def _notes(survey: Survey, borders: Mapping[Colour | int, str]) -> list[str]:
    notes = []
    for is_border, words in (
        (False, "{} colours are close to a named one, as JPEG leaves them ({:.2%} of all pixels), and count as it"),
        (
            True,
            "{} colours are borders, as JPEG or smoothing leaves them ({:.2%} of all pixels), and count as background; better save PNG",
        ),
    ):
        own = [one for one, name in borders.items() if (name == BACKGROUND) == is_border]
        if own:
            notes.append(words.format(len(own), sum(survey.unnamed[one].pixels for one in own) / survey.pixels))
    return notes


FORMAT = Format("colour-masks", "images/, masks/ in colours, and a file that names the colours", recognise, read)
