"""The embedded data source: generated foregrounds with exact alpha, and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from input_pipeline.defocus import disc
from input_pipeline.procedural.backdrops import backdrop
from input_pipeline.procedural.canvas import coverage, straighten
from input_pipeline.procedural.cutouts import cutout
from input_pipeline.procedural.silhouettes import ellipse
from input_pipeline.procedural.subjects import KINDS, body, under_fur
from input_pipeline.procedural.textures import noise, paint
from input_pipeline.training_data.image_files import eight_bits
from tmfnet_jax.errors import InputError
from tmfnet_jax.images import read_image

_FOREGROUND, _BACKGROUND = 0, 1  # tags that keep the two random streams apart
_COVERAGE = (0.08, 0.72)  # accepted mean alpha
_ATTEMPTS = 4
_CUTOUT_SHARE = 0.25  # of foregrounds, where there are cut-outs
_FUR_SHARE = 0.5  # of them
_PHOTO_SIDE = 1024  # longer side of a photo kept in memory, in pixels
_PHOTOS_KEPT = 32


class SyntheticSource:
    """Procedural foregrounds with exact alpha, and backgrounds.

    Sample i is a pure function of (seed, i): the same in every run, process and
    order of calls.

    Args:
      seed: non-negative integer.
      size: height and width of every sample, in pixels; at least 32.
      photos: image files whose crops serve as textures and backgrounds, mixed with
        generated ones. None or empty: everything is generated.
      cutouts: image files with alpha, drawn as subjects among the generated ones,
        some of them with fur grown on.

    Raises:
      InputError: if the seed, the size or a photo is unusable; a photo that cannot
        be decoded is reported when it is first drawn.
    """

    num_foregrounds: int | None = None  # unbounded
    num_backgrounds: int | None = None

    def __init__(
        self,
        *,
        seed: int,
        size: tuple[int, int] = (320, 320),
        photos: Sequence[Path] | None = None,
        cutouts: Sequence[Path] | None = None,
    ):
        if seed < 0:
            raise InputError(f"seed is {seed}, expected 0 or more; choose another seed")
        if len(size) != 2 or min(size) < 32:
            raise InputError(
                f"size is {tuple(size)}, expected (height, width) of at least 32 each"
            )
        self._seed, self._shape = seed, (int(size[0]), int(size[1]))
        self._photos = [Path(photo) for photo in photos or ()]
        self._cutouts = [Path(path) for path in cutouts or ()]
        for photo in (*self._photos, *self._cutouts):
            if not photo.is_file():
                raise InputError(
                    f"photo {photo} is not a file; correct or drop its path"
                )

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw foreground `index`.

        Returns:
          foreground: uint8 [H, W, 3], RGB, not premultiplied; where alpha is 0 it
            continues the colours nearby.
          alpha: uint8 [H, W] with pixels >= 250 and pixels <= 5.
        """
        rng = self._rng(_FOREGROUND, index)
        names = list(KINDS)
        weights = np.array([weight for _, weight in KINDS.values()])
        kind = KINDS[rng.choice(names, p=weights / weights.sum())][0]
        if self._cutouts and rng.random() < _CUTOUT_SHARE:
            kind = self._cutout
        for _ in range(_ATTEMPTS):
            layer = _through_a_lens(rng, kind(rng, self._shape, self._texture))
            if _is_usable(layer[..., 3]):
                break
        else:
            layer = body(rng, self._shape, self._texture, _disc(self._shape))
        return straighten(layer)

    def background(self, index: int) -> np.ndarray:
        """Draw background `index`: uint8 [H, W, 3], RGB."""
        rng = self._rng(_BACKGROUND, index)
        if self._photos and rng.random() < 0.7:
            scene = self._photo_crop(rng, self._shape)
        else:
            scene = backdrop(rng, self._shape)
        if rng.random() < 0.6:
            grain = noise(rng, self._shape, cell=1.5, octaves=1)
            scene = scene + rng.uniform(0, 0.03) * grain[..., None]
        return np.rint(np.clip(scene, 0, 1) * 255).astype(np.uint8)

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        if index < 0:
            raise InputError(f"sample index is {index}, expected 0 or more")
        return np.random.default_rng([self._seed, stream, index])

    def _cutout(self, rng, shape, texture):
        del texture  # it has its own
        path = self._cutouts[rng.integers(len(self._cutouts))]
        layer = cutout(rng, shape, path)
        return under_fur(rng, layer) if rng.random() < _FUR_SHARE else layer

    def _texture(self, rng, shape, colours):
        if self._photos and rng.random() < 0.5:
            return self._photo_crop(rng, shape)
        return paint(rng, shape, colours)

    def _photo_crop(self, rng, shape):
        photo = _photo(self._photos[rng.integers(len(self._photos))])
        height, width = photo.shape[:2]
        scale = rng.uniform(0.3, 1) * min(height / shape[0], width / shape[1])
        rows, columns = (max(1, int(scale * side)) for side in shape)
        top = rng.integers(height - rows + 1)
        left = rng.integers(width - columns + 1)
        crop = photo[top : top + rows, left : left + columns]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
        crop = cv2.resize(crop, shape[::-1], interpolation=method)
        return crop.astype(np.float32) / 255


@lru_cache(_PHOTOS_KEPT)
def _photo(path: Path) -> np.ndarray:
    """Read a photo as uint8 RGB, its longer side reduced to _PHOTO_SIDE."""
    photo = eight_bits(read_image(path))
    shrink = _PHOTO_SIDE / max(photo.shape)
    if shrink >= 1:
        return photo
    return cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)


def _is_usable(alpha: np.ndarray) -> bool:
    low, high = _COVERAGE
    return bool(
        low <= alpha.mean() <= high
        and alpha.max() > 0.99
        and np.count_nonzero(alpha < 0.01) > 0.03 * alpha.size
    )


def _through_a_lens(rng: np.random.Generator, layer: np.ndarray) -> np.ndarray:
    """Blur colour and alpha together: the lens, and at times defocus or motion."""
    side = min(layer.shape[:2])
    style = rng.random()
    if style < 0.12:
        kernel = disc(side * 10 ** rng.uniform(-2.3, -1.5))
    elif style < 0.22:
        length = side * 10 ** rng.uniform(-2, -1.2)
        reach = int(np.ceil(length / 2)) + 1
        angle = rng.uniform(0, np.pi)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        along = x * np.cos(angle) + y * np.sin(angle)
        across = np.abs(x * np.sin(angle) - y * np.cos(angle))
        kernel = np.clip(1 - across, 0, 1) * np.clip(
            length / 2 + 0.5 - np.abs(along), 0, 1
        )
        kernel /= kernel.sum()
    elif style < 0.7:
        sigma = rng.uniform(0.3, 0.8)
        return cv2.GaussianBlur(layer, (5, 5), sigma, borderType=cv2.BORDER_REPLICATE)
    else:
        return layer
    return cv2.filter2D(
        layer, -1, kernel.astype(np.float32), borderType=cv2.BORDER_REPLICATE
    )


def _disc(shape: tuple[int, int]) -> np.ndarray:
    """Return a plain mask, for the rare index whose every attempt was unusable."""
    height, width = shape
    radius = 0.3 * min(shape)
    return coverage([ellipse((width / 2, height / 2), (radius, radius))], shape)
