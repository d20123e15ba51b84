"""Test sets composed of foregrounds and backgrounds: Composition-1k and CIOM.

They are published as foregrounds, alphas, trimaps and two lists of names, to be
composed over another data set's photos. Here that happens in memory, by the rules of
`reference_composition`, when an image is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from input_pipeline.evaluation_data.benchmark_images import exact_trimap
from input_pipeline.evaluation_data.dataset_files import DatasetFiles, join, open_files
from input_pipeline.evaluation_data.evaluation import EvaluationSet, Example, Inventory
from input_pipeline.evaluation_data.name_lists import read_names, refuse_namesakes
from input_pipeline.evaluation_data.pillow_images import (
    decode_colours,
    decode_first_channel,
    require_pillow,
)
from input_pipeline.evaluation_data.reference_composition import RULES, compose, cover
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import decode_mask

FOREGROUND_NAMES = "test_fg_names.txt"
BACKGROUND_NAMES = "test_bg_names.txt"
_OWN_FOLDERS = ("fg", "alpha", "trimaps")
_ROLES = (*_OWN_FOLDERS, "backgrounds")
# Neighbouring composites share their foreground, also across two threads.
_KEPT_FOREGROUNDS = 2


@dataclass(frozen=True)
class CompositionSpec:
    """What tells one composed test set from another.

    Attributes:
      name: one of `input_pipeline.evaluation_data.evaluation_sets.SETS`.
      foregrounds: how many there are.
      backgrounds_each: how many each of them is laid over; line
        i * backgrounds_each + j of the list is background j of foreground i.
      images_folder: where fg, alpha and trimaps lie, beside the lists of names.
      background_folders: where backgrounds may lie below the folder given; all that
        exist are searched, the first one wins.
      backgrounds_source: which data set the backgrounds are of.
      source: where all of it comes from.
      licence: what it may be used for.
      notes: what else to know.
    """

    name: str
    foregrounds: int
    backgrounds_each: int
    images_folder: str
    background_folders: tuple[str, ...]
    backgrounds_source: str
    source: str
    licence: str
    notes: tuple[str, ...] = ()


COMPOSITION_1K = CompositionSpec(
    name="composition-1k",
    foregrounds=50,
    backgrounds_each=20,
    images_folder="Adobe-licensed images",
    background_folders=(
        "",
        "JPEGImages",
        "VOC2012/JPEGImages",
        "VOCdevkit/VOC2012/JPEGImages",
    ),
    backgrounds_source="PASCAL VOC 2012",
    source=(
        "Composition-1k: Xu et al., Deep Image Matting, CVPR 2017, on request from the "
        "authors (Brian Price, Adobe); backgrounds: PASCAL VOC 2012, "
        "host.robots.ox.ac.uk/pascal/VOC/voc2012"
    ),
    licence=(
        "Composition-1k: its own, for non-commercial research; PASCAL VOC: photos "
        "under Flickr's terms of use"
    ),
)
CIOM = CompositionSpec(
    name="ciom",
    foregrounds=50,
    backgrounds_each=20,
    images_folder="",
    background_folders=(
        "",
        *(
            f"{top}images/{part}"
            for top in ("", "ADEChallengeData2016/")
            for part in ("training", "validation")
        ),
    ),
    backgrounds_source="ADE20K",
    source=(
        "CIOM: Jiang et al., Trimap-guided Feature Mining and Fusion Network for "
        "Natural Image Matting, CVIU 230, 2023, from the authors; backgrounds: ADE20K, "
        "groups.csail.mit.edu/vision/datasets/ADE20K"
    ),
    licence="CIOM: not known, ask the authors; ADE20K: its own terms of use",
    notes=(
        "the layout of CIOM's files is not public; expected is that of "
        f"Composition-1k: {', '.join(_OWN_FOLDERS)} beside {FOREGROUND_NAMES} and "
        f"{BACKGROUND_NAMES}",
    ),
)


def composition_set(
    place: Path, *, backgrounds: Path, spec: CompositionSpec
) -> EvaluationSet:
    """Open a composed test set; no file is unpacked or written.

    The layout of CIOM's own files is not public: for that set, too, the layout of
    Composition-1k is expected, without its folder of images.

    Args:
      place: zip file, or a folder in which the two lists of names lie at most three
        folders deep; fg, alpha and trimaps lie beside them in `spec.images_folder`.
      backgrounds: folder of their photos, or one that holds it.
      spec: which set.
    Returns:
      The set; its inventory names every missing file, and surplus ones in fg, alpha
      and trimaps. Examples are called "<foreground>_<j>", as their trimaps are.
    Raises:
      InputError: no Pillow, no such places, lists of names that are absent or not
        as expected, or a role of which not one file was found. `load` raises it for
        files that are not the original ones.
    """
    require_pillow(spec.name)
    files, photos = open_files(place), open_files(backgrounds)
    top = find_top(files, spec)
    plan = read_plan(files, top, spec)
    images = join(top, spec.images_folder)
    present = find_files(files, photos, top=top, spec=spec)
    inventory = _inventory(plan, present, spec)
    searched = {role: files.describe(join(images, role)) for role in _OWN_FOLDERS}
    below = ", ".join(filter(None, spec.background_folders))
    searched["backgrounds"] = f"{backgrounds} ({spec.backgrounds_source}; or {below})"
    vain = [searched[role] for role, found, _ in inventory.counts if not found]
    if vain:  # a line for each of a thousand files would hide that it is one mistake
        raise InputError(
            f"found none of the files of {spec.name} in: {'; '.join(vain)}; give the "
            "folders that hold them"
        )
    # Paths of the composites of which every file is there.
    complete = {
        name: {role: present[role][file] for role, file in parts.items()}
        for name, parts in plan.items()
        if all(file in present[role] for role, file in parts.items())
    }
    return EvaluationSet(
        name=spec.name,
        settings={
            "composition": RULES,
            "foregrounds": spec.foregrounds,
            "backgrounds_each": spec.backgrounds_each,
        },
        inventory=inventory,
        names=tuple(complete),
        load=_loader(files, photos, complete),
    )


def find_top(files: DatasetFiles, spec: CompositionSpec) -> str:
    """Return the folder that the lists of names lie in; InputError if not just one."""
    tops = files.folders_with(FOREGROUND_NAMES)
    if len(tops) == 1:
        return tops[0]
    folders = ", ".join(join(spec.images_folder, name) for name in _OWN_FOLDERS)
    found = "several: " + ", ".join(tops) if tops else "none"
    raise InputError(
        f"{files.describe('')}: expected {FOREGROUND_NAMES} in one folder, beside "
        f"{BACKGROUND_NAMES}, {folders}; found {found}"
    )


def find_files(
    files: DatasetFiles, photos: DatasetFiles, *, top: str, spec: CompositionSpec
) -> dict[str, dict[str, str]]:
    """List what is there: of each role the paths by file name.

    Args:
      files: of the set.
      photos: its backgrounds.
      top: folder of the lists of names in `files`.
      spec: which set.
    """
    images = join(top, spec.images_folder)
    present = {
        role: {n: join(join(images, role), n) for n in files.names(join(images, role))}
        for role in _OWN_FOLDERS
    }
    present["backgrounds"] = {
        name: join(folder, name)
        for folder in reversed(spec.background_folders)
        for name in photos.names(folder)
    }
    return present


def read_plan(
    files: DatasetFiles, top: str, spec: CompositionSpec
) -> dict[str, dict[str, str]]:
    """Read the lists of names; return for each example its file name by role.

    Raises:
      InputError: lists of names that are absent or not as expected.
    """
    path = join(top, FOREGROUND_NAMES)
    foregrounds = read_names(files, path, expected=spec.foregrounds)
    refuse_namesakes(foregrounds, called=files.describe(path))
    each = spec.backgrounds_each
    backgrounds = read_names(
        files, join(top, BACKGROUND_NAMES), expected=spec.foregrounds * each
    )
    plan = {}
    for number, background in enumerate(backgrounds):
        foreground = foregrounds[number // each]
        name = f"{PurePosixPath(foreground).stem}_{number % each}"
        files_of_it = (foreground, foreground, f"{name}.png", background)
        plan[name] = dict(zip(_ROLES, files_of_it, strict=True))
    return plan


def _inventory(
    plan: Mapping[str, Mapping[str, str]],
    present: Mapping[str, Mapping[str, str]],
    spec: CompositionSpec,
) -> Inventory:
    """Compare what the plan needs with what is there; both by role."""
    needed = {
        role: list(dict.fromkeys(parts[role] for parts in plan.values()))
        for role in _ROLES
    }
    return Inventory(
        source=spec.source,
        licence=spec.licence,
        counts=tuple(
            (role, sum(name in present[role] for name in names), len(names))
            for role, names in needed.items()
        ),
        missing=tuple(
            f"{role}/{name}"
            for role, names in needed.items()
            for name in names
            if name not in present[role]
        ),
        surplus=tuple(
            f"{role}/{name}"
            for role in _OWN_FOLDERS
            for name in sorted(present[role].keys() - set(needed[role]))
        ),
        notes=spec.notes,
    )


def _loader(
    files: DatasetFiles,
    photos: DatasetFiles,
    paths: Mapping[str, Mapping[str, str]],
) -> Callable[[str], Example]:
    """Return the function that composes an example from its paths by role."""

    @functools.lru_cache(_KEPT_FOREGROUNDS)
    def subject(foreground: str, alpha: str) -> tuple[np.ndarray, np.ndarray]:
        called = files.describe(foreground)
        colours = decode_colours(files.read(foreground), name=called)
        opacity = decode_first_channel(files.read(alpha), name=files.describe(alpha))
        if colours.shape[:2] != opacity.shape:
            raise InputError(
                f"{called}: is {colours.shape[1]}x{colours.shape[0]} and its alpha "
                f"{opacity.shape[1]}x{opacity.shape[0]}; put the original files there"
            )
        return colours, opacity

    def load(name: str) -> Example:
        part = paths[name]
        foreground, alpha = subject(part["fg"], part["alpha"])
        height, width = alpha.shape
        called = photos.describe(part["backgrounds"])
        photo = decode_colours(photos.read(part["backgrounds"]), name=called)
        try:
            background = cover(photo, width=width, height=height)
        except InputError as error:
            raise InputError(f"{called}: {error}") from None
        called = files.describe(part["trimaps"])
        mask = decode_mask(files.read(part["trimaps"]), name=called)
        return Example(
            name,
            compose(foreground, background, alpha),
            exact_trimap(mask, name=called),
            alpha.copy(),  # the other composites of this foreground share it
        )

    return load
