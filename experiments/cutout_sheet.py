"""A contact sheet of photos cut out and put before a new background.

    python -m experiments.cutout_sheet --photos=DIR --trimaps=DIR --weights=W \\
        --output=sheet.png

Photos and trimaps are matched by name, as `tmfnet matte` does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from absl import flags
from tqdm import tqdm

from experiments import launch
from experiments.panels import grey, stack
from tmfnet_jax.cutout import load_background, over, quantise
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import check_output, read_image, read_mask, write_image
from tmfnet_jax.inference import Matting
from tmfnet_jax.jobs import find_jobs
from tmfnet_jax.trimap_check import overlay
from tmfnet_jax.trimap_making import as_trimap


def main() -> None:
    """Draw a row of photo, trimap, alpha and cut-out for each photo."""
    options = flags.FLAGS
    check_output(options.output, channels=3, dtype="uint8")
    with tempfile.TemporaryDirectory() as folder:  # where mattes would go
        jobs, tally = find_jobs(
            [options.photos],
            trimaps=Path(options.trimaps),
            output=Path(folder),
            suffix=".png",
            recursive=False,
            overwrite=False,
        )
    if tally.failures:
        raise InputError(str(tally.failures[0]))
    matting = Matting.load(options.weights)
    rows = []
    for job in tqdm(jobs, unit="photo"):
        image = read_image(job.image)
        trimap, _ = as_trimap(read_mask(job.trimap))
        rgba = matting.cutout(image, trimap, tta=options.tta)
        background = load_background(options.background, *trimap.shape)
        rows.append(
            [
                (job.image.stem, quantise(image / _full(image), 8)),
                ("trimap", overlay(image, trimap)),
                ("alpha", grey(quantise(rgba[..., 3], 8))),
                ("cut-out", quantise(over(rgba, background), 8)),
            ]
        )
    write_image(options.output, stack(rows))
    print(options.output)


def _full(image):
    return 255 if image.dtype == "uint8" else 65535


if __name__ == "__main__":
    flags.DEFINE_string("photos", None, "Folder of photos.", required=True)
    flags.DEFINE_string("trimaps", None, "Folder of their trimaps.", required=True)
    flags.DEFINE_string("weights", None, "Weights or workdir.", required=True)
    flags.DEFINE_string("output", "sheet.png", "Picture to write.")
    flags.DEFINE_string("background", "#3c8a6e", "Colour or picture.")
    flags.DEFINE_enum("tta", "none", ("none", "8", "10"), "Test-time augmentation.")
    launch.run(main)
