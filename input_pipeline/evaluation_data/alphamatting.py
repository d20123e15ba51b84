"""The images of alphamatting.com: 27 with their alpha, 8 whose alpha is kept secret.

Source: Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting",
CVPR 2009. The low-resolution files are meant, which all published scores are for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from input_pipeline.evaluation_data.benchmark_images import (
    exact_trimap,
    original_values,
)
from input_pipeline.evaluation_data.evaluation import EvaluationSet, Example, Inventory
from input_pipeline.evaluation_data.paired_files import find_layout, pair_files, stems
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_image, read_mask
from tmfnet_jax.trimap import one_channel

SOURCE = (
    "alphamatting.com/datasets.php, low resolution; Rhemann et al., A Perceptually "
    "Motivated Online Benchmark for Image Matting, CVPR 2009"
)
LICENCE = "for research; its terms are not known in detail, ask the authors"
TRAINING_IMAGES = tuple(f"GT{number:02}" for number in range(1, 28))
TRAINING_TRIMAPS = ("trimap1", "trimap2")
TEST_IMAGES = (
    *("donkey", "doll", "elephant", "net"),
    *("pineapple", "plant", "plasticbag", "troll"),
)
TEST_TRIMAPS = ("trimap1", "trimap2", "trimap3")


def alphamatting_set(folder: Path, *, trimaps: str = "trimap1") -> EvaluationSet:
    """Open the training images, all 27 or any part of them.

    Args:
      folder: holds train/image, train/trimap1 or 2 and train/alpha; or these
        without "train"; or the site's own input_training_lowres,
        trimap_training_lowres/Trimap1 or 2 and gt_training_lowres.
      trimaps: "trimap1", the narrow ones, or "trimap2".
    Returns:
      The set; images without trimap or alpha are missing files, absent images are
      a note.
    Raises:
      InputError: no such folders, none of the images, other trimaps. `load` raises
        it for files that are not as the site has them.
    """
    (number,) = _numbers(trimaps, TRAINING_TRIMAPS)
    folders = find_layout(
        folder,
        [
            *(
                (f"{top}image", f"{top}trimap{number}", f"{top}alpha")
                for top in ("train/", "")
            ),
            (
                "input_training_lowres",
                f"trimap_training_lowres/Trimap{number}",
                "gt_training_lowres",
            ),
        ],
    )
    present = set(stems(folder / folders[0]))
    names = [name for name in TRAINING_IMAGES if name in present]
    if not names:
        raise InputError(
            f"{folder / folders[0]}: holds none of the images "
            f"{TRAINING_IMAGES[0]} to {TRAINING_IMAGES[-1]}"
        )
    pairing = pair_files(folder, folders, names=names)
    total = len(TRAINING_IMAGES)
    part = (
        f"{len(names)} of {total} images; the means of other parts differ from theirs"
    )

    def load(name: str) -> Example:
        image, trimap, alpha = pairing.rows[name]
        return _read(name, image=image, trimap=trimap, alpha=alpha)

    return EvaluationSet(
        name="alphamatting",
        settings={"trimaps": f"trimap{number}"},
        inventory=Inventory(
            source=SOURCE,
            licence=LICENCE,
            counts=tuple(
                (role, found, total)
                for role, found in zip(folders, pairing.found, strict=True)
            ),
            missing=pairing.missing,
            surplus=pairing.surplus,
            notes=(part,) if len(names) < total else (),
        ),
        names=tuple(pairing.rows),
        load=load,
    )


def alphamatting_test_set(folder: Path, *, trimaps: str | None = None) -> EvaluationSet:
    """Open the 8 test images with their three trimaps; their alpha is not public.

    Names are like "Trimap1/donkey": predictions then lie in files named as the
    site names its own.

    Args:
      folder: holds test/image and test/trimap1 to 3; or these without "test"; or
        the site's own input_lowres and trimap_lowres/Trimap1 to 3.
      trimaps: only "trimap1" (small), "trimap2" (large) or "trimap3" (user).
    Returns:
      The set, without alpha.
    Raises:
      InputError: as for `alphamatting_set`.
    """
    numbers = _numbers(trimaps, TEST_TRIMAPS)
    image_folder, *trimap_folders = find_layout(
        folder,
        [
            *(
                (f"{top}image", *(f"{top}trimap{number}" for number in numbers))
                for top in ("test/", "")
            ),
            ("input_lowres", *(f"trimap_lowres/Trimap{number}" for number in numbers)),
        ],
    )
    pairing = pair_files(folder, (image_folder, *trimap_folders), names=TEST_IMAGES)
    # Each trimap makes examples of its own: one that is missing costs only those.
    rows: dict[str, tuple[Path, Path]] = {}
    for number, trimap_folder in zip(numbers, trimap_folders, strict=True):
        one = pair_files(folder, (image_folder, trimap_folder), names=TEST_IMAGES)
        for name, (image, trimap) in one.rows.items():
            rows[f"Trimap{number}/{name}"] = image, trimap

    def load(name: str) -> Example:
        image, trimap = rows[name]
        return _read(name, image=image, trimap=trimap, alpha=None)

    return EvaluationSet(
        name="alphamatting-test",
        settings={"trimaps": [f"trimap{number}" for number in numbers]},
        inventory=Inventory(
            source=SOURCE,
            licence=LICENCE,
            counts=tuple(
                (role, found, len(TEST_IMAGES))
                for role, found in zip(
                    (image_folder, *trimap_folders), pairing.found, strict=True
                )
            ),
            missing=pairing.missing,
            surplus=pairing.surplus,
            notes=("the alphas are not public: predictions only, no scores",),
        ),
        names=tuple(rows),
        load=load,
        has_alpha=False,
    )


def _numbers(trimaps: str | None, choices: tuple[str, ...]) -> list[int]:
    """Return the numbers of the trimaps asked for; None asks for all."""
    if trimaps is None:
        return list(range(1, len(choices) + 1))
    if trimaps.lower() not in choices:
        raise InputError(f"trimaps are {trimaps!r}; choose one of {', '.join(choices)}")
    return [choices.index(trimaps.lower()) + 1]


def _read(name: str, *, image: Path, trimap: Path, alpha: Path | None) -> Example:
    return Example(
        name,
        original_values(read_image(image), name=str(image)),
        exact_trimap(read_mask(trimap), name=str(trimap)),
        None if alpha is None else _read_alpha(alpha),
    )


def _read_alpha(path: Path) -> np.ndarray:
    values = original_values(read_mask(path), name=str(path))
    try:
        return one_channel(values)
    except InputError:
        raise InputError(f"{path}: is in colour; an alpha must be grey") from None
