"""The graph Laplacian of pixels that look alike, wherever they are.

Chen, Li, Tang, "KNN Matting", TPAMI 35, 2013, with equal weights for a pixel's
neighbours and colours in RGB. Neighbours are sought for unknown pixels alone, among
these and the known ones near them.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

NEIGHBOURS = 10
# Of a distance across the image's longer side, against that of black and white in one
# channel: alike counts, near decides between those that are about equally so.
PLACE = 0.03
BAND_PX = 10  # known pixels within it are candidates


def laplacian_rows(image: np.ndarray, unknown: np.ndarray) -> sparse.csr_array:
    """Compute the Laplacian's rows of some pixels.

    Args:
      image: [H, W, 3] float32 in [0, 1].
      unknown: [H, W] bool, whose rows, N of them; at least one.
    Returns:
      [N, H W] float32, rows and columns in the order of pixels; each row adds up to 0.
      Two pixels share half for each of them that has the other among its NEIGHBOURS.
    """
    height, width = unknown.shape
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND_PX + 1,) * 2)
    candidates = np.flatnonzero(cv2.dilate(unknown.astype(np.uint8), disc))
    places = np.stack(np.divmod(candidates, width), -1) / max(height, width)
    features = np.hstack([image.reshape(-1, 3)[candidates], PLACE * places])

    count = min(NEIGHBOURS + 1, candidates.size)  # the nearest is the pixel itself
    asking = np.flatnonzero(unknown.ravel()[candidates])
    tree = cKDTree(features, balanced_tree=False, compact_nodes=False)
    _, found = tree.query(features[asking], k=np.arange(1, count + 1), workers=-1)
    links = sparse.coo_array(
        (
            np.full(asking.size * count, 0.5, np.float32),
            (np.repeat(asking, count), found.ravel()),
        ),
        shape=(candidates.size, candidates.size),
    ).tocsr()
    links = (links + links.T).tocsr()
    # A pixel found for itself adds as much to the diagonal as it takes away.
    rows = (sparse.diags_array(links.sum(1)) - links).tocsr()[asking].tocoo()
    return sparse.coo_array(
        (rows.data.astype(np.float32), (rows.row, candidates[rows.col])),
        shape=(asking.size, height * width),
    ).tocsr()
