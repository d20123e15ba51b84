"""TensorFlow Datasets builders: Composition-1k, CIOM and folders of one's own.

    import input_pipeline.tfds_builders.datasets  # registers them
    builder = tfds.builder("composition_1k", data_dir="data")
    config = tfds.download.DownloadConfig(manual_dir="downloads")
    builder.download_and_prepare(download_config=config)

`preparation.prepare` does the same in one call.
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from input_pipeline.tfds_builders import originals
from input_pipeline.tfds_builders.base import ForegroundsBuilder, ForegroundsConfig
from tmfnet_jax.errors import InputError

CONFIGS = [
    ForegroundsConfig(name="whole", description="Every foreground, or none at all."),
    ForegroundsConfig(
        name="skip_corrupt",
        description="Without the foregrounds that could not be read.",
        skip_corrupt=True,
    ),
]


class Composition1k(ForegroundsBuilder):
    """The 431 training foregrounds of Composition-1k."""

    name = "composition_1k"
    BUILDER_CONFIGS = CONFIGS
    EXPECTED = 431
    DESCRIPTION = (
        "Composition-1k, training part: 431 foregrounds with alpha, of the folders "
        "'Adobe-licensed images' and 'Other', in this order and then by name."
    )
    LICENCE = "Its own: non-commercial research only; no redistribution."
    CITATION = """\
@inproceedings{xu2017deep,
  title={Deep Image Matting},
  author={Xu, Ning and Price, Brian and Cohen, Scott and Huang, Thomas},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2017}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Composition-1k is given out by its authors on request (Brian Price, Adobe, "
        "see the paper), for non-commercial research under their licence. Put the zip "
        "file, Adobe_Deep_Matting_Dataset.zip, into manual_dir, or the folder "
        "Combined_Dataset unpacked from it. Of it are used Training_set/"
        "{Adobe-licensed images,Other}/{fg,alpha}."
    )

    def _originals(
        self, manual_dir: Path | None
    ) -> AbstractContextManager[originals.Originals]:
        assert manual_dir is not None
        return originals.published("composition-1k", manual_dir)


class Ciom(ForegroundsBuilder):
    """The 683 training foregrounds of CIOM."""

    name = "ciom"
    BUILDER_CONFIGS = CONFIGS
    EXPECTED = 683
    DESCRIPTION = (
        "CIOM, training part: 683 foregrounds with alpha, by name. The layout of its "
        "files is not public; expected are the folders fg and alpha."
    )
    LICENCE = "Not known; ask the authors."
    CITATION = """\
@article{jiang2023trimap,
  title={Trimap-guided Feature Mining and Fusion Network for Natural Image Matting},
  author={Jiang, Weihao and Yu, Dongdong and Xie, Zhaozhi and Li, Yaoyi and
          Yuan, Zehuan and Lu, Hongtao},
  journal={Computer Vision and Image Understanding},
  volume={230},
  year={2023}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "CIOM is to be had from the authors of Jiang et al. 2023; its licence is not "
        "known, ask them. The layout of its files is not public: put the foregrounds "
        "into manual_dir/fg and their alphas, under the same names, into "
        "manual_dir/alpha; Training_set/fg and Training_set/alpha will do as well, and "
        "a zip file with such folders."
    )

    def _originals(
        self, manual_dir: Path | None
    ) -> AbstractContextManager[originals.Originals]:
        assert manual_dir is not None
        return originals.published("ciom", manual_dir)


@dataclasses.dataclass(eq=False)
class FolderConfig(ForegroundsConfig):
    """Which folder; the name of the config tells prepared folders apart.

    Attributes:
      foregrounds: folder of foregrounds or, without `alphas`, of cut-outs (RGBA).
      alphas: folder of their alphas, named alike up to the suffix.
    """

    foregrounds: str | os.PathLike[str] = ""
    alphas: str | os.PathLike[str] | None = None


class MattingFolder(ForegroundsBuilder):
    """A folder of cut-outs, or two of foregrounds and alphas."""

    name = "matting_folder"
    DESCRIPTION: ClassVar[str] = "Foregrounds with alpha from a folder of one's own."

    def _originals(
        self, manual_dir: Path | None
    ) -> AbstractContextManager[originals.Originals]:
        del manual_dir
        config = self.builder_config
        if not isinstance(config, FolderConfig) or not os.fspath(config.foregrounds):
            raise InputError(
                "matting_folder has no folder; give config=FolderConfig(name=..., "
                "foregrounds=FOLDER)"
            )
        alphas = None if config.alphas is None else Path(config.alphas)
        return originals.folder(Path(config.foregrounds), alphas)
