"""Foregrounds of a prepared TensorFlow data set as a source of training samples."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.tfds_builders.preparation import PathLike, require_tfds
from input_pipeline.training_data.image_files import list_photos, read_background
from tmfnet_jax.errors import InputError

INFO_FILE = "dataset_info.json"
_DEFAULT_DATA_DIR = "~/tensorflow_datasets"  # that of TFDS
_FEATURES = ("foreground", "alpha")


class TfdsSource:
    """Foregrounds that TFDS has prepared, and a folder of backgrounds.

    Foregrounds are read one by one, in any order, without TensorFlow, from files in
    the format array_record. Pickled, the source keeps no open file; each process
    opens its own.
    """

    def __init__(
        self,
        prepared: PathLike,
        *,
        backgrounds: PathLike,
        data_dir: PathLike | None = None,
        split: str = "train",
    ):
        """Open a prepared data set; it is neither downloaded nor prepared.

        Args:
          prepared: the set's folder, one above, or its name: "composition_1k", or
            "composition_1k/whole/1.0.0" where there are several.
          backgrounds: folder of photos as of `image_files.list_photos`.
          data_dir: where sets are looked up by name; TFDS's own, if None.
          split: of TFDS, such as "train" or "train[:90%]".
        Raises:
          InputError: TFDS or array_record is not installed, no such set or several,
            prepared in another format or with other features, or no backgrounds.
        """
        require_tfds(random_access=True)
        self.backgrounds = tuple(list_photos(Path(backgrounds)))
        self.folder = _find(Path(prepared), data_dir)
        self._records = _open(self.folder, split)
        self.num_foregrounds: int | None = len(self._records)
        self.num_backgrounds: int | None = len(self.backgrounds)

    def foreground(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one foreground and its alpha.

        Args:
          index: below `num_foregrounds`.
        Returns:
          uint8 [H, W, 3] RGB and uint8 [H, W] alpha, 255 for opaque; read-only.
        Raises:
          InputError: if the data set is damaged there.
        """
        if not 0 <= index < (self.num_foregrounds or 0):
            raise IndexError(f"foreground {index} of {self.num_foregrounds}")
        try:
            example = self._records[index]
            image, alpha = (example[name] for name in _FEATURES)
            if image.shape != (*alpha.shape[:2], 3):
                raise ValueError("sizes differ")
        except MemoryError:
            raise
        except Exception as error:  # of several libraries, each with its own
            raise InputError(
                f"{self.folder}: foreground {index} cannot be read "
                f"({type(error).__name__}); remove the folder and prepare it again"
            ) from None
        return image, alpha[..., 0]

    def background(self, index: int) -> np.ndarray:
        """Read one background: uint8 [H, W, 3] RGB; InputError where that fails."""
        return read_background(self.backgrounds[index])


def _find(prepared: Path, data_dir: PathLike | None) -> Path:
    """Return the folder of the only version and config of a data set."""
    root = data_dir or os.environ.get("TFDS_DATA_DIR") or _DEFAULT_DATA_DIR
    places = [prepared.expanduser(), Path(root).expanduser() / prepared]
    # Config and version are folders of their own below the name.
    patterns = [f"{'*/' * depth}{INFO_FILE}" for depth in range(3)]
    for place in places:
        found = sorted(p.parent for pattern in patterns for p in place.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{place}: holds several data sets, {', '.join(map(str, found))}; "
                "name one"
            )
    raise InputError(
        f"no prepared data set in {' or '.join(map(str, places))}; prepare it first"
    )


def _open(folder: Path, split: str) -> Any:
    """Open the records of a prepared set, in the order that they were written."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(os.fspath(folder))
        file_format = builder.info.file_format.value
        features = builder.info.features
        absent = [n for n in _FEATURES if features is None or n not in features]
        if file_format == "array_record" and not absent:
            return builder.as_data_source(split=split)
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file or an unknown split
        words = " ".join(str(error).split())
        raise InputError(
            f"{folder}: split {split!r} of the data set cannot be opened ({words}); "
            "check the split, or prepare the set again"
        ) from None
    if absent:
        raise InputError(
            f"{folder}: has no {' and no '.join(absent)}; expected a set that "
            "input_pipeline.tfds_builders has prepared"
        )
    raise InputError(
        f"{folder}: is in the format {file_format}; expected array_record: prepare it "
        "again in another folder, with the package array_record installed"
    )
