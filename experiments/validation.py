"""Validation during training: SAD and MSE of fixed crops, and pictures of them."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from input_pipeline.evaluation_data.evaluation_sets import open_set
from input_pipeline.evaluation_data.validation_crops import validation_crops
from tmfnet_jax.model import TMFNet
from tmfnet_jax.sharding import put_batch
from tmfnet_jax.train_step import Arrays, make_validation_step

PICTURES = 4  # of the first crops: image, trimap, alpha, truth side by side


class Validator:
    """Measures weights on the crops that `config.validation` names.

    Attributes:
      every: steps between validations; 0: there are none.
      described: the set and the size of its crops, in words.
    """

    def __init__(self, config: ConfigDict, model: TMFNet, mesh: Mesh):
        """Load the crops; InputError if they cannot be had."""
        settings = config.validation
        self.every = settings.every
        self.described = "nothing"
        if not self.every:
            return
        examples = open_set(
            settings.set,
            None if settings.folder is None else Path(settings.folder),
            trimaps=settings.trimaps,
            backgrounds=None
            if settings.backgrounds is None
            else Path(settings.backgrounds),
            count=settings.images if settings.set == "generated" else None,
        )
        self._crops = validation_crops(
            examples, count=settings.images, crop_px=config.recipe.crop_px
        )
        count, side = self._crops["image"].shape[:2]
        self.described = f"{count} crops of {side} px of set {examples.name}"
        self._mesh = mesh
        self._size = min(config.batch_size, -(-count // mesh.size) * mesh.size)
        self._validate = make_validation_step(model, mesh)

    def due(self, step: int, *, last: bool) -> bool:
        """Tell whether to validate after so many steps."""
        return bool(self.every) and (last or step % self.every == 0)

    def __call__(self, weights: Arrays) -> tuple[dict[str, float], list[np.ndarray]]:
        """Return the means of what `make_validation_step` measures, and pictures.

        Those are SAD / 1000, MSE x 1000 and, of a network that estimates its error,
        the estimate beside the error; the pictures are uint8 [S, 4 S, 3].
        """
        count = len(self._crops["image"])
        results = []
        for start in range(0, count, self._size):
            # The last batch is filled up with its last crop.
            rows = np.arange(start, start + self._size).clip(max=count - 1)
            share = np.array_split(rows, jax.process_count())[jax.process_index()]
            batch = {name: array[share] for name, array in self._crops.items()}
            result = self._validate(weights, put_batch(self._mesh, batch))
            results.append(jax.device_get(result))
        whole = {
            name: np.concatenate([result[name] for result in results])[:count]
            for name in results[0]
        }
        # A compiled function returns them by the alphabet; SAD goes first.
        names = ["sad", "mse", *sorted(whole.keys() - {"sad", "mse", "alpha"})]
        means = {name: float(whole[name].mean()) for name in names}
        shown = range(min(count, PICTURES))
        return means, [self._picture(i, whole["alpha"][i]) for i in shown]

    def _picture(self, index: int, alpha: np.ndarray) -> np.ndarray:
        crop = {name: array[index] for name, array in self._crops.items()}
        greys = (crop["trimap"], alpha, crop["alpha"])
        return np.hstack([crop["image"], *(np.repeat(grey, 3, -1) for grey in greys)])
