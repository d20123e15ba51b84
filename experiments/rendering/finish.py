"""From what Blender rendered to a cut-out as a camera would have taken it."""

from __future__ import annotations

import cv2
import numpy as np

from input_pipeline.procedural.canvas import extended_colours
from tmfnet_jax.errors import InputError

_COVERED = (0.03, 0.97)  # mean alpha of a picture that shows something
_LEAST_KNOWN = 0.01  # share of opaque and of clear pixels: a trimap needs both
_NOISE = 1 / 400  # alpha nearer than this to 0 or 1 is a stray sample's
_BRIGHT = 0.9  # quantile that the exposure is set by
_EXPOSED = (0.35, 0.75)  # linear, where that quantile comes to lie
_GAIN = (0.6, 2.5)  # a black cat stays black
_TRUST_FROM = 0.4  # alpha below which colours of few samples are too noisy
_SHOULDER = 1.25  # of the tone curve 1 - exp(-x)


def finish(colours: np.ndarray, alpha: np.ndarray, *, seed: int) -> np.ndarray:
    """Expose a rendered subject and divide its colours by alpha.

    Args:
      colours: float [H, W, 3] RGB, linear and premultiplied.
      alpha: float [H, W] in [0, 1].
      seed: of the exposure.
    Returns:
      uint8 [H, W, 4], straight sRGB and alpha; where alpha is 0 the colours around
      are continued.
    Raises:
      InputError: the picture is empty, full, not finite, or has no opaque or no clear
        part.
    """
    colours, alpha = colours.astype(np.float32), alpha.astype(np.float32)
    if not (np.isfinite(colours).all() and np.isfinite(alpha).all()):
        raise InputError("it has values that are not finite")
    alpha = np.where(alpha < _NOISE, 0, np.where(alpha > 1 - _NOISE, 1, alpha))
    low, high = _COVERED
    covered = float(alpha.mean())
    if not low <= covered <= high:
        raise InputError(f"it covers {covered:.1%}; expected {low:.0%} to {high:.0%}")
    for value, name in ((1, "opaque"), (0, "clear")):
        if (share := float((alpha == value).mean())) < _LEAST_KNOWN:
            raise InputError(
                f"{share:.2%} of it is {name}; expected at least {_LEAST_KNOWN:.0%}"
            )
    # Colours of a few samples are noisy where alpha is low: those around help.
    layer = np.dstack([colours.clip(0, 20), alpha])
    soft = cv2.GaussianBlur(layer, (0, 0), 0.8)
    edge = (alpha < 1)[..., None]
    straight = extended_colours(np.where(edge, soft, layer), trust_from=_TRUST_FROM)
    light = straight[alpha > 0.5].mean(1)
    rng = np.random.default_rng(seed)
    wanted = rng.uniform(*_EXPOSED)
    gain = np.clip(wanted / max(np.quantile(light, _BRIGHT), 1e-3), *_GAIN)
    display = (1 - np.exp(-_SHOULDER * gain * straight)) ** (1 / 2.2)
    whole = np.dstack([display, alpha])
    return np.rint(255 * whole.clip(0, 1)).astype(np.uint8)
