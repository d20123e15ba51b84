"""Preparing a data set with TensorFlow Datasets in one call."""

from __future__ import annotations

import os
from pathlib import Path

from tmfnet_jax.errors import InputError

PathLike = str | os.PathLike[str]


def require_tfds(*, random_access: bool = False) -> None:
    """Raise InputError with the way to install what is absent.

    Args:
      random_access: whether the package array_record is needed, too.
    """
    try:
        import tensorflow_datasets  # noqa: F401

        if random_access:
            import array_record.python.array_record_data_source  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"TensorFlow Datasets cannot be used, {error.name or 'a package'} is not "
            "installed; install it with pip install 'tmfnet-jax[train]'"
        ) from None


def prepare(
    name: str,
    *,
    data_dir: PathLike,
    manual_dir: PathLike,
    skip_corrupt: bool = False,
) -> Path:
    """Write a published set as a TensorFlow data set, unless it is there already.

    Args:
      name: "composition_1k" or "ciom".
      data_dir: folder of all TensorFlow data sets.
      manual_dir: folder that the set was put into, unpacked or as a zip file.
      skip_corrupt: leave out what cannot be read; told in the set's metadata.
    Returns:
      Folder for `TfdsSource`.
    Raises:
      InputError: no TFDS, unknown name, or what is wrong with the originals.
    """
    require_tfds()
    import tensorflow_datasets as tfds

    from input_pipeline.tfds_builders.datasets import Ciom, Composition1k

    builders = {builder.name: builder for builder in (Composition1k, Ciom)}
    if name not in builders:
        raise InputError(f"no data set {name!r}; expected {' or '.join(builders)}")
    config = "skip_corrupt" if skip_corrupt else "whole"
    builder = builders[name](data_dir=os.fspath(data_dir), config=config)
    options = tfds.download.DownloadConfig(manual_dir=os.fspath(manual_dir))
    builder.download_and_prepare(download_config=options)
    return Path(builder.data_dir)
