"""Make the weights that come with the package, from nothing, by one command.

    python -m experiments.open_weights --folder=runs/open --photos=DIR

collects the free photos (open_data.py), renders the subjects (rendering/), makes the
open test set (open_test_set.py) and trains `lite` in one long training that measures
itself (open_training.py). It takes days; killed at any time and started again, it goes
on. SIGTERM saves a training first. In FOLDER are then

    STAGE/                  workdir of each stage of the training
    data/STAGE/             lists of the images of a stage, with digests
    measurements.jsonl, measurements.md
    lite.safetensors, lite.md, lite.csv   the weights, their card, and the list of
                            images with licences, at the end

--reference=WEIGHTS measures other weights first, once. What was found out about the
weights afterwards comes into the card by running the command once more: --evaluations
names folders of `tmfnet eval`, --limits says in words where they fail. --smoke trains a
few tiny steps on generated data.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from experiments import launch, open_training
from experiments.image_sources import (
    SOURCES_FILE,
    ImageSource,
    read_sources,
    write_sources,
)
from experiments.kept_memory import restart_keeping_memory
from experiments.open_data import collect, make_backgrounds
from experiments.open_test_set import make_set
from experiments.open_training import Inputs, Plan
from experiments.publishing import publish
from experiments.rendering.collection import WANTED, render_subjects
from tmfnet_jax.environment import commit


def main() -> None:
    """Collect, render, train, measure and publish what is not done."""
    options = flags.FLAGS
    folder = Path(options.folder)
    photos = Path(options.photos) if options.photos else None
    if options.smoke:
        plan, test_set = Plan.smoke(), None
        inputs = open_training.smoke_inputs(folder / "smoke-data")
    else:
        plan, test_set = Plan.whole(), Path(options.test_set)
        inputs = make_inputs(Path(options.data), Path(options.subjects), test_set)
    open_training.train_and_measure(
        folder,
        plan,
        inputs,
        test_set=test_set,
        photos=photos,
        reference=options.reference,
    )
    target = publish(
        folder,
        stages=[*plan.stages],
        evaluations=map(Path, options.evaluations),
        limits=options.limits,
    )
    if not options.smoke:
        images = training_images(Path(options.data))
        write_sources(target.with_suffix(".csv"), images)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def make_inputs(data: Path, subjects: Path, test_set: Path) -> Inputs:
    """Make the images that are trained on, and the test set, unless they are there.

    Args:
      data: folder of the free photos and backgrounds.
      subjects: folder of the rendered subjects.
      test_set: folder of the test set.
    Raises:
      InputError: as of the parts.
    """
    packages = flags.FLAGS.packages
    rows = collect(data, packages=Path(packages) if packages else None)
    make_backgrounds(data, rows)
    render_subjects(subjects, wanted=WANTED)
    make_set(subjects / "test", data / "backgrounds" / "test", test_set)
    return Inputs(subjects / "train", data / "backgrounds" / "train")


def training_images(data: Path) -> list[ImageSource]:
    """List what the weights are trained on: the backgrounds, and the subjects.

    Args:
      data: folder of the free photos.
    """
    _, rows = read_sources(data / "backgrounds" / SOURCES_FILE)
    subjects = ImageSource(
        image="subjects, rendered and generated",
        package="tmfnet_jax",
        version=commit() or "",
        file="experiments/rendering and input_pipeline/procedural",
        author="the authors of tmfnet_jax",
        licence="CC0-1.0",
        sha256="",
    )
    used = (ImageSource(*row) for row in rows if row[0].startswith("train/"))
    return [*used, subjects]


if __name__ == "__main__":
    restart_keeping_memory()
    flags.DEFINE_string("folder", "runs/open", "Of the training.")
    flags.DEFINE_string("data", "data/open", "Folder of the free photos.")
    flags.DEFINE_string("subjects", "data/subjects", "Folder of the subjects.")
    flags.DEFINE_string("test_set", "data/open-test", "Folder of the test set.")
    flags.DEFINE_string("packages", None, "Folder of package files fetched before.")
    flags.DEFINE_string("photos", None, "The set alphamatting, to measure on as well.")
    flags.DEFINE_string("reference", None, "Weights to measure before anything.")
    flags.DEFINE_list("evaluations", [], "Folders of evaluations for the card.")
    flags.DEFINE_multi_string("limits", [], "Sentences for the card: where it fails.")
    flags.DEFINE_boolean("smoke", False, "A few tiny steps on generated data.")
    launch.run(main)
