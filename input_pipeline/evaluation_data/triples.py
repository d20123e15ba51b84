"""A user's own evaluation set: folders of images, trimaps and alphas."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from input_pipeline.evaluation_data.evaluation import EvaluationSet, Example, Inventory
from input_pipeline.evaluation_data.paired_files import find_layout, pair_files, stems
from input_pipeline.training_data.image_files import eight_bits
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_alpha, read_image, read_mask
from tmfnet_jax.trimap import canonical_trimap


def triples_set(folder: Path, *, trimaps: str = "trimap") -> EvaluationSet:
    """Open the triples of FOLDER/image, FOLDER/<trimaps> and FOLDER/alpha.

    Files belong together by their names without suffix. Values of 16 bits are
    rounded to 8, and trimaps are read as `tmfnet matte` reads them.

    Args:
      folder: holds the three folders.
      trimaps: name of the folder of trimaps, where there are several.
    Returns:
      The set; its inventory names every missing, doubled and unused file.
    Raises:
      InputError: a folder is missing, or there are no images. `load` raises it for
        files that are unreadable or differ in size.
    """
    if Path(trimaps).name != trimaps or trimaps in ("", ".."):
        raise InputError(
            f"trimaps are {trimaps!r}; give the name of a folder in {folder}"
        )
    folders = find_layout(folder, [("image", trimaps, "alpha")])
    names = stems(folder / "image")
    if not names:
        raise InputError(f"{folder / 'image'}: holds no images")
    pairing = pair_files(folder, folders, names=names)

    def load(name: str) -> Example:
        image, trimap, alpha = pairing.rows[name]
        return _read(name, image=image, trimap=trimap, alpha=alpha)

    return EvaluationSet(
        name="triples",
        settings={"trimaps": trimaps},
        inventory=Inventory(
            source="your own files",
            licence="not known",
            counts=tuple(
                (role, found, len(names))
                for role, found in zip(folders, pairing.found, strict=True)
            ),
            missing=pairing.missing,
            surplus=pairing.surplus,
        ),
        names=tuple(pairing.rows),
        load=load,
    )


def _read(name: str, *, image: Path, trimap: Path, alpha: Path) -> Example:
    pixels = eight_bits(read_image(image))
    truth = np.round(read_alpha(alpha) * 255).astype(np.uint8)
    mask = read_mask(trimap)
    try:
        labels, _ = canonical_trimap(mask)
    except InputError as error:
        raise InputError(f"{trimap}: {error}") from None
    return Example(name, pixels, labels, truth)
