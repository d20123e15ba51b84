"""The demo: measure the package's weights, matte a photo, leave a picture of it all.

    make demo
    make demo-train    # the same with weights that it trains first, in a few minutes

Everything goes to runs/demo. Run again, the training is found done; delete the folder
to train anew.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from absl import flags

from experiments import launch
from experiments.configs import demo as demo_config
from experiments.kept_memory import restart_keeping_memory
from experiments.panels import grey, stack
from experiments.peers import peer
from experiments.train import train
from experiments.workdir import WEIGHTS_FILE
from input_pipeline.evaluation_data.evaluation import (
    EvaluationSet,
    Example,
    generated_set,
)
from tmfnet_jax.cutout import over, quantise
from tmfnet_jax.errors import InputError
from tmfnet_jax.evaluation import evaluate
from tmfnet_jax.evaluation_records import HEADINGS, mean
from tmfnet_jax.foreground import estimate_foreground
from tmfnet_jax.images import read_image, read_mask, write_image
from tmfnet_jax.inference import Matting
from tmfnet_jax.named_weights import DEFAULT
from tmfnet_jax.reporting import format_table

HERE = Path(__file__).parent
EXAMPLES = 12  # of the generated set
SHOWN = (2, 7)  # of them, in the picture
BACKDROP = ((46, 120, 92), (214, 226, 160))  # RGB, top and bottom


def main() -> None:
    """Run the demo from weights to picture."""
    workdir = Path(flags.FLAGS.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    weights: str | Path = DEFAULT
    label = f"{DEFAULT}, as it comes"
    if flags.FLAGS.train:
        weights, label = trained(workdir), "lite, minutes of training"
    else:
        print(f"1/4  weights: {DEFAULT}, which come with the package")
    matting = Matting.load(weights)

    print(f"2/4  measuring on {EXAMPLES} generated images that training never saw")
    examples = generated_set(EXAMPLES)
    methods = {
        label: matting.alpha,
        "closed form (PyMatting)": peer("closed form"),
        "unknown = 0.5": lambda image, trimap: trimap / 255,
    }
    rows = []
    for name, matte in methods.items():
        seconds, averages = measured(matte, examples)
        rows.append(
            (name, *(round(v, 2) for v in averages.values()), round(seconds, 2))
        )
    table = format_table(("method", *HEADINGS, "s/image"), rows)

    print("3/4  matting the photo")
    image = read_image(HERE / "photo.png")
    trimap = read_mask(HERE / "trimap.png")
    alpha = matting.alpha(image, trimap)
    write_image(workdir / "alpha.png", np.round(alpha * 255).astype(np.uint8))

    print("4/4  drawing the overview")
    shown = [overview_row(image, trimap, alpha)]
    shown += [example_row(examples.load(examples.names[i]), matting) for i in SHOWN]
    write_image(workdir / "overview.png", stack(shown))
    (workdir / "metrics.txt").write_text(table + "\n")

    print(f"\n{table}\n")
    print(f"picture   {workdir / 'overview.png'}")
    print(f"alpha     {workdir / 'alpha.png'}")
    print("\nYour own photo (trimap: 0 background, 128 unsure, 255 subject):")
    choice = f" --weights {weights}" if flags.FLAGS.train else ""
    print(f"  tmfnet matte PHOTO TRIMAP -o alpha.png{choice}")


def trained(workdir: Path) -> Path:
    """Train for a few minutes, unless that is done; return the weights."""
    weights = workdir / WEIGHTS_FILE
    if weights.exists():
        print(f"1/4  {weights}: trained already; delete {workdir} to train anew")
        return weights
    config = demo_config.get_config()
    print(
        f"1/4  training lite on generated data, {config.optimizer.steps} steps of "
        f"{config.batch_size} crops of {config.recipe.crop_px} px"
    )
    train(config, workdir)
    if not weights.exists():
        raise InputError("the training was stopped; run the demo again to continue")
    return weights


def measured(matte, examples: EvaluationSet) -> tuple[float, dict[str, float]]:
    """Return a method's seconds per image and its mean metrics."""
    seconds = 0.0

    def timed(example, progress):
        nonlocal seconds
        del progress
        start = time.perf_counter()
        alpha = matte(example.image, example.trimap)
        seconds += time.perf_counter() - start
        return alpha

    records = evaluate(examples, timed).records
    return seconds / len(records), mean(records)


def overview_row(image: np.ndarray, trimap: np.ndarray, alpha: np.ndarray) -> list:
    """Return the captioned panels of one image."""
    return [
        ("image", image),
        ("trimap", grey(trimap)),
        ("alpha", grey(np.round(alpha * 255).astype(np.uint8))),
        ("on a new background", cut_out(image, alpha)),
    ]


def example_row(example: Example, matting: Matting) -> list:
    """Return the panels of a generated image, its name in the first caption."""
    alpha = matting.alpha(example.image, example.trimap)
    panels = overview_row(example.image, example.trimap, alpha)
    panels[0] = (example.name, example.image)
    return panels


def cut_out(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Compose estimated foreground colours onto a gradient, without fringes."""
    mix = np.linspace(0, 1, len(alpha), dtype=np.float32)[:, None, None]
    backdrop = (1 - mix) * np.array(BACKDROP[0], np.float32) + mix * np.array(
        BACKDROP[1], np.float32
    )
    backdrop = np.broadcast_to(backdrop / 255, image.shape)
    rgba = np.dstack([estimate_foreground(image, alpha), alpha])
    return quantise(over(rgba, backdrop), 8)


if __name__ == "__main__":
    restart_keeping_memory()
    flags.DEFINE_string("workdir", "runs/demo", "Folder to write to.")
    flags.DEFINE_boolean("train", False, "Train weights first, in a few minutes.")
    launch.run(main)
