"""What all TensorFlow Datasets builders of training foregrounds share."""

from __future__ import annotations

import abc
import dataclasses
import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from input_pipeline.tfds_builders.originals import Originals
from tmfnet_jax.errors import InputError

# TFDS sorts examples by keys of 128 bits and keeps those with the same leading digits
# together in memory: 0, 1, 2... would all be together, so keys are spread evenly.
_KEYS = 2**128


@dataclasses.dataclass(eq=False)
class ForegroundsConfig(tfds.core.BuilderConfig):
    """How strict preparation is; part of the path that the data are written to.

    Attributes:
      skip_corrupt: leave out foregrounds that cannot be read and write them to
        `info.metadata["skipped"]`, instead of raising InputError with all of them.
    """

    skip_corrupt: bool = False


class OfflineInfo(tfds.core.DatasetInfo):
    """DatasetInfo that does not ask Google's servers whether they know the set."""

    def initialize_from_bucket(self) -> None:
        """Do nothing: the set is not there."""


class ForegroundsBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes foregrounds with alphas; subclasses say which.

    Images are stored as they are, not as PNG. Read one at a time from memory on a
    2-core CPU, a foreground of 1500x1500 with its alpha takes 11 to 23 ms so and 46
    to 54 ms as PNG, for 4.6 to 6.0 MB and 3.2 to 3.5 MB on disk; zlib is no smaller
    (4.3 to 5.7 MB) and takes 34 to 37 ms.

    Examples are in the order of the originals, so that number i is the same
    foreground as number i of the folders. A run that is cut off leaves nothing, and
    one that is complete is not made again: TFDS goes on with no less than a set.

    Attributes:
      EXPECTED: foregrounds that the whole set has; None: any number.
      LICENCE: what the data may be used for.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    # Where TFDS looks for checksums of downloads; here, nothing is downloaded, and
    # looking needs importlib_resources, which TFDS does not install.
    code_path = None
    EXPECTED: ClassVar[int | None] = None
    DESCRIPTION: ClassVar[str] = ""
    CITATION: ClassVar[str] = ""
    LICENCE: ClassVar[str] = "Not known."

    def __init__(self, *, file_format: str | None = None, **kwargs: Any):
        """Take the options of TFDS.

        Args:
          file_format: "array_record", which can be read in any order and is the
            default where the package array_record is installed, or "tfrecord".
          **kwargs: data_dir, config, version.
        """
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.is_prepared():
            random_access = importlib.util.find_spec("array_record") is not None
            self.info.set_file_format(
                "array_record" if random_access else "tfrecord", override=True
            )

    @abc.abstractmethod
    def _originals(self, manual_dir: Path | None) -> AbstractContextManager[Originals]:
        """List the originals; `manual_dir` where there are manual instructions."""

    def _info(self) -> tfds.core.DatasetInfo:
        def pixels(channels: int, doc: str) -> tfds.features.Tensor:
            return tfds.features.Tensor(
                shape=(None, None, channels), dtype=np.uint8, encoding="bytes", doc=doc
            )

        return OfflineInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(doc="of the file, without suffix"),
                    "foreground": pixels(3, "RGB"),
                    "alpha": pixels(1, "255 for opaque"),
                }
            ),
            citation=self.CITATION,
            license=self.LICENCE,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def download_and_prepare(
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepare as TFDS does, without looking for the set on Google's servers."""
        config = download_config or tfds.download.DownloadConfig()
        config = dataclasses.replace(config, try_download_gcs=False)
        super().download_and_prepare(download_config=config, **kwargs)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        manual_dir = None
        if self.MANUAL_DOWNLOAD_INSTRUCTIONS:
            try:
                manual_dir = Path(dl_manager.manual_dir)
            except (AssertionError, OSError) as error:
                raise InputError(" ".join(str(error).split())) from None
        return {"train": self._generate_examples(manual_dir)}

    def _generate_examples(
        self, manual_dir: Path | None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        skip = self.builder_config is not None and self.builder_config.skip_corrupt
        files: dict[str, dict[str, Any]] = {}
        written = 0
        with self._originals(manual_dir) as originals:
            problems = [f"{p}: is missing or there twice" for p in originals.missing]
            count = len(originals.names)
            if not skip and not problems and self.EXPECTED not in (None, count):
                problems.append(
                    f"{count} foregrounds found; {self.name} has {self.EXPECTED}"
                )
            for index, name in enumerate(originals.names):
                try:
                    image, alpha, records = originals.read(index)
                except InputError as error:
                    problems.append(str(error))
                    continue
                if problems and not skip:
                    continue  # nothing will be kept: only look for more of them
                files |= records
                written += 1
                example = {"name": name, "foreground": image, "alpha": alpha[..., None]}
                yield index * (_KEYS // count), example
        if problems and (not skip or not written):
            raise InputError(
                f"{self.name} was not prepared: {'; '.join(problems)}; put the "
                "originals there, or use a config with skip_corrupt=True"
            )
        self.info.metadata.update(
            files=files,
            skipped=problems,
            unused=list(originals.surplus),
            expected=self.EXPECTED,
        )
