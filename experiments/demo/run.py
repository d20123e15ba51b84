"""The demo: train `lite`, measure it, matte a photo, leave one picture of it all.

    make demo

Everything goes to runs/demo. Run again it finds the training done and repeats the
rest; delete the folder to train anew.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pymatting
from absl import flags

from experiments import launch
from experiments.configs import demo as demo_config
from experiments.evaluate import mean, measure
from experiments.panels import grey, stack
from experiments.train import WEIGHTS_FILE, train
from input_pipeline.evaluation import Example, generated_set
from tmfnet_jax.cutout import over, quantise
from tmfnet_jax.errors import InputError
from tmfnet_jax.foreground import estimate_foreground
from tmfnet_jax.images import read_image, read_mask, write_image
from tmfnet_jax.inference import Matting
from tmfnet_jax.reporting import format_table

HERE = Path(__file__).parent
EXAMPLES = 12  # of the generated set
SHOWN = (2, 7)  # of them, in the picture
BACKDROP = ((46, 120, 92), (214, 226, 160))  # RGB, top and bottom


def main() -> None:
    """Run the demo from training to picture."""
    workdir = Path(flags.FLAGS.workdir)
    weights = workdir / WEIGHTS_FILE

    if weights.exists():
        print(f"1/4  {weights}: trained already; delete {workdir} to train anew")
    else:
        config = demo_config.get_config()
        print(
            f"1/4  training lite on generated data, {config.optimizer.steps} steps of "
            f"{config.batch_size} crops of {config.recipe.crop_px} px"
        )
        train(config, workdir)
        if not weights.exists():
            raise InputError("the training was stopped; run the demo again to continue")
    matting = Matting.load(weights)

    print(f"2/4  measuring on {EXAMPLES} generated images that training never saw")
    examples = list(generated_set(EXAMPLES))
    methods = {
        "lite, minutes of training": matting.alpha,
        "closed form (PyMatting)": closed_form,
        "unknown = 0.5": lambda image, trimap: trimap / 255,
    }
    rows = []
    for name, matte in methods.items():
        start = time.perf_counter()
        averages = mean(measure(matte, examples, total=EXAMPLES))
        seconds = (time.perf_counter() - start) / EXAMPLES
        rows.append(
            (name, *(round(v, 2) for v in averages.values()), round(seconds, 2))
        )
    header = ("method", "SAD/1000", "MSE x1000", "Grad/1000", "Conn/1000", "s/image")
    table = format_table(header, rows)

    print("3/4  matting the photo")
    image = read_image(HERE / "photo.png")
    trimap = read_mask(HERE / "trimap.png")
    alpha = matting.alpha(image, trimap)
    write_image(workdir / "alpha.png", np.round(alpha * 255).astype(np.uint8))

    print("4/4  drawing the overview")
    shown = [overview_row(image, trimap, alpha)]
    shown += [example_row(examples[i], matting) for i in SHOWN]
    write_image(workdir / "overview.png", stack(shown))
    (workdir / "metrics.txt").write_text(table + "\n")

    print(f"\n{table}\n")
    print(f"picture   {workdir / 'overview.png'}")
    print(f"alpha     {workdir / 'alpha.png'}")
    print(f"weights   {weights}")
    print("\nYour own photo (trimap: 0 background, 128 unsure, 255 subject):")
    print(f"  tmfnet matte PHOTO TRIMAP -o alpha.png --weights {weights}")


def closed_form(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """Matte by PyMatting's closed form, the classical peer."""
    alpha = pymatting.estimate_alpha_cf(image / 255, trimap_levels(trimap))
    return np.asarray(alpha).clip(0, 1)


def trimap_levels(trimap: np.ndarray) -> np.ndarray:
    """Map 0, 128, 255 to exactly 0, 0.5, 1."""
    return np.select([trimap == 0, trimap == 255], [0.0, 1.0], 0.5)


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
    flags.DEFINE_string("workdir", "runs/demo", "Folder to write to.")
    launch.run(main)
