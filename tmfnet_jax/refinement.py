"""Refinement: a network's alpha, carried on along the colours of the photo.

Minimises x' L x + sum of c (x - alpha)^2 over the unknown pixels, with c = STRENGTH
|2 alpha - 1|^4: the network counts where it decides for one side, the colours where it
hesitates. L is the matting Laplacian, at coarser levels with pixels that look alike
bound to each other too. These levels decide; finer ones add detail in few iterations of
conjugate gradients, because solved to the end they would blur what was decided.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from tmfnet_jax import matting_laplacian, nonlocal_laplacian
from tmfnet_jax.trimap import TRIMAP_UNKNOWN

STRENGTH = 0.01  # of the network's alpha, against affinities that add up to about 4
EPSILON = 1e-6  # of the matting Laplacian
NONLOCAL = 0.1  # share of the other one
DECIDING_ITERATIONS = 150
DETAIL_ITERATIONS = 30
SHRINKAGE = 0.03  # of alpha towards the middle, by averaging over neighbours
COARSEST_PX = 256  # shorter side above which there is a coarser level
WHOLE_UNKNOWN = 2**18  # pixels that are solved for at a time, else in blocks
WHOLE_PX = 2**22
BLOCK_PX = 384
HALO_PX = 64


Progress = Callable[[int, int], None]


def refined(
    image: np.ndarray,
    trimap: np.ndarray,
    alpha: np.ndarray,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Refine a network's alpha.

    Memory is bounded: a level too large to be solved as a whole is solved in blocks,
    and adds detail alone.

    Args:
      image: [H, W, 3] RGB, uint8 or float32 in [0, 1].
      trimap: [H, W] uint8, 0, 128, 255.
      alpha: [H, W] float32 in [0, 1]; what the trimap knows is taken for true.
      progress: called with blocks of the finest level done and their number, where it
        is solved in blocks.
    Returns:
      [H, W] float32 in [0, 1], changed where the trimap does not know.
    """
    unknown = trimap == TRIMAP_UNKNOWN
    result = _from_coarse(image, unknown, alpha, level=0, progress=progress)
    widened = np.clip((result - SHRINKAGE) / (1 - 2 * SHRINKAGE), 0, 1)
    return np.where(unknown, widened, alpha)


def _from_coarse(image, unknown, alpha, *, level, progress=None) -> np.ndarray:
    if min(alpha.shape) < matting_laplacian.WINDOW or not unknown.any():
        return alpha
    start, coarsest = alpha, min(alpha.shape) <= COARSEST_PX
    if not coarsest:
        half = _halved(alpha)
        coarse = _from_coarse(
            _halved(image),
            _halved(unknown.astype(np.float32)) > 0,
            half,
            level=level + 1,
        )
        change = cv2.resize(coarse - half, alpha.shape[::-1])
        start = np.where(unknown, np.clip(alpha + change, 0, 1), alpha)
    if unknown.size <= WHOLE_PX and np.count_nonzero(unknown) <= WHOLE_UNKNOWN:
        deciding = level > 0 or coarsest
        return _solved(image, unknown, alpha, start, level=level, deciding=deciding)
    result = start.copy()
    cores = [*itertools.product(*map(_blocks, alpha.shape))]
    for done, core in enumerate(cores, 1):
        if unknown[core].any():
            wide = tuple(map(_with_halo, core, alpha.shape))
            around = image[wide], unknown[wide], alpha[wide], start[wide]
            inner = tuple(
                slice(c.start - w.start, c.stop - w.start)
                for c, w in zip(core, wide, strict=True)
            )
            result[core] = _solved(*around, level=level, deciding=False)[inner]
        if progress is not None:
            progress(done, len(cores))
    return result


def _blocks(size: int) -> list[slice]:
    return [slice(i, min(i + BLOCK_PX, size)) for i in range(0, size, BLOCK_PX)]


def _with_halo(block: slice, size: int) -> slice:
    # At least a window, even if the last block is a line of pixels.
    low = max(min(block.start - HALO_PX, size - matting_laplacian.WINDOW), 0)
    return slice(low, min(block.stop + HALO_PX, size))


def _solved(image, unknown, alpha, start, *, level, deciding) -> np.ndarray:
    """Solve for [h, w], from `start`, which holds where all is known."""
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / 255
    rows = matting_laplacian.laplacian_rows(image, unknown, epsilon=EPSILON)
    if deciding:
        alike = nonlocal_laplacian.laplacian_rows(image, unknown)
        rows = (rows + np.float32(NONLOCAL) * alike).tocsr()
    given = alpha[unknown]
    # A pixel of a coarser level stands for several.
    weight = np.float32(STRENGTH * 4**level) * np.abs(2 * given - 1) ** 4
    known = np.where(unknown, 0, start).ravel()
    right = weight * given - rows @ known
    matrix = (rows[:, np.flatnonzero(unknown)] + sparse.diags_array(weight)).tocsr()
    solution, _ = cg(
        matrix,
        right,
        x0=start[unknown],
        rtol=1e-6,
        maxiter=DECIDING_ITERATIONS if deciding else DETAIL_ITERATIONS,
        M=sparse.diags_array(1 / matrix.diagonal()),
    )
    result = start.copy()
    result[unknown] = np.clip(solution, 0, 1)
    return result


def _halved(x: np.ndarray) -> np.ndarray:
    """Average 2x2 pixels, those at the end of an odd side with themselves."""
    height, width = x.shape[:2]
    x = cv2.copyMakeBorder(x, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(x, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
