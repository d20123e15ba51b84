"""TensorFlow Datasets builders on miniatures of three foregrounds."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import miniatures
import numpy as np
import pytest

from input_pipeline.training_data.sources import FolderSource
from tmfnet_jax.errors import InputError

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("array_record")

from input_pipeline.tfds_builders.datasets import (  # noqa: E402
    Ciom,
    Composition1k,
    FolderConfig,
    MattingFolder,
)
from input_pipeline.tfds_builders.preparation import prepare  # noqa: E402
from input_pipeline.tfds_builders.source import TfdsSource  # noqa: E402

PARTS = {"Adobe-licensed images": ("web_1", "lace.b"), "Other": ("lace.b",)}
SIZE = (20, 24)


def pixels(*seeds: int, channels: int = 3) -> np.ndarray:
    values = miniatures.rng(*seeds).integers(0, 256, (*SIZE, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


def composition(place: Path) -> Path:
    """Write the training part of Composition-1k in little."""
    top = place / "Combined_Dataset" / "Training_set"
    for part, names in PARTS.items():
        for name in names:
            seeds = len(part), len(name)
            miniatures.save(top / part / "fg" / f"{name}.png", pixels(*seeds, 0))
            alpha = pixels(*seeds, 1, channels=1)
            miniatures.save(top / part / "alpha" / f"{name}.png", alpha)
    return top


class Miniature(NamedTuple):
    root: Path
    manual: Path  # holds Combined_Dataset
    top: Path  # Training_set
    backgrounds: Path
    prepared: Path
    source: TfdsSource


@pytest.fixture(scope="module", autouse=True)
def offline():
    """No connection may be tried, and the sets are those of the miniatures."""
    with pytest.MonkeyPatch.context() as patch:

        def refuse(*args, **kwargs):
            raise AssertionError(f"a connection was tried: {args}")

        patch.setattr("socket.socket.connect", refuse)
        patch.setattr("socket.getaddrinfo", refuse)
        # As releases before 4.9.10 do, which ask Google's servers by default.
        gcs = "tensorflow_datasets.core.utils.gcs_utils"
        patch.setattr(f"{gcs}._is_gcs_disabled", False)
        patch.setattr(f"{gcs}.exists", refuse)
        patch.setattr(Composition1k, "EXPECTED", 3)
        patch.setattr(Ciom, "EXPECTED", 3)
        yield


@pytest.fixture(scope="module")
def miniature(tmp_path_factory, offline) -> Miniature:
    root = tmp_path_factory.mktemp("tfds")
    top = composition(root / "manual")
    backgrounds = root / "photos"
    for number in range(2):
        miniatures.save(backgrounds / f"{number}.png", pixels(number, 7))
    prepared = prepare(
        "composition_1k", data_dir=root / "data", manual_dir=root / "manual"
    )
    source = TfdsSource(prepared, backgrounds=backgrounds)
    return Miniature(root, root / "manual", top, backgrounds, prepared, source)


def folders(miniature: Miniature) -> FolderSource:
    places = [miniature.top / part for part in PARTS]
    return FolderSource(
        [place / "fg" for place in places],
        alphas=[place / "alpha" for place in places],
        backgrounds=miniature.backgrounds,
    )


def assert_same_foregrounds(source, reference):
    assert source.num_foregrounds == reference.num_foregrounds
    for index in range(reference.num_foregrounds):
        for got, expected in zip(
            source.foreground(index), reference.foreground(index), strict=True
        ):
            assert got.dtype == np.uint8
            np.testing.assert_array_equal(got, expected)


def metadata(prepared: Path) -> dict:
    return json.loads((prepared / "metadata.json").read_text())


def test_source_equals_folders_bit_for_bit(miniature):
    assert miniature.source.num_foregrounds == 3
    assert_same_foregrounds(miniature.source, folders(miniature))
    for index in range(2):
        np.testing.assert_array_equal(
            miniature.source.background(index), folders(miniature).background(index)
        )


def test_metadata_record_every_source_file(miniature):
    records = metadata(miniature.prepared)
    assert len(records["files"]) == 6
    for path, record in records["files"].items():
        data = (miniature.manual / path).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert record == {"bytes": len(data), "sha256": digest}
    assert records["skipped"] == [] and records["unused"] == []
    assert records["expected"] == 3


def test_info_says_what_the_set_is(miniature):
    builder = tfds.builder("composition_1k", data_dir=str(miniature.root / "data"))
    assert builder.data_dir == str(miniature.prepared) and builder.is_prepared()
    info = tfds.builder_from_directory(str(miniature.prepared)).info
    assert "xu2017deep" in info.citation
    assert "non-commercial" in info.redistribution_info.license
    assert info.splits["train"].num_examples == 3
    assert info.features["foreground"].shape == (None, None, 3)
    assert info.features["alpha"].shape == (None, None, 1)
    records = miniature.source._records
    assert [records[i]["name"].decode() for i in range(3)] == [
        "Adobe-licensed images/lace.b",
        "Adobe-licensed images/web_1",
        "Other/lace.b",
    ]


def test_zip_file_gives_the_same_set(miniature, tmp_path):
    (tmp_path / "manual").mkdir()
    miniatures.zipped(miniature.manual, tmp_path / "manual" / "Adobe.zip")
    prepared = prepare(
        "composition_1k", data_dir=tmp_path, manual_dir=tmp_path / "manual"
    )
    source = TfdsSource(prepared, backgrounds=miniature.backgrounds)
    assert_same_foregrounds(source, miniature.source)
    assert metadata(prepared) == metadata(miniature.prepared)


def test_prepared_set_is_not_made_again(miniature):
    before = miniature.prepared.stat().st_mtime_ns
    again = prepare(
        "composition_1k",
        data_dir=miniature.root / "data",
        manual_dir=miniature.root / "absent",
    )
    assert again == miniature.prepared
    assert miniature.prepared.stat().st_mtime_ns == before


def test_source_is_picklable_and_thread_safe(miniature):
    miniature.source.foreground(0)
    copy = pickle.loads(pickle.dumps(miniature.source))
    assert_same_foregrounds(copy, miniature.source)
    sums = [int(copy.foreground(i)[0].sum()) for i in range(3)]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda i: int(copy.foreground(i % 3)[0].sum()), range(99))
        )
    assert found == sums * 33


def test_source_is_found_by_name(miniature):
    source = TfdsSource(
        "composition_1k",
        data_dir=miniature.root / "data",
        backgrounds=miniature.backgrounds,
    )
    assert source.folder == miniature.prepared


def damaged(place: Path) -> Path:
    """Write a set with a file cut short, one of another size and one missing."""
    top = composition(place)
    part = top / "Adobe-licensed images"
    whole = (part / "fg" / "web_1.png").read_bytes()
    (part / "fg" / "web_1.png").write_bytes(whole[: len(whole) // 2])
    miniatures.save(part / "alpha" / "lace.b.png", miniatures.alpha(1))
    miniatures.save(top / "Other" / "fg" / "veil.png", pixels(3))
    (top / "Other" / "fg" / "notes.txt").write_text("by hand")
    return place


@pytest.mark.parametrize("packed", [False, True])
def test_corrupt_files_are_all_named(tmp_path, packed):
    manual = damaged(tmp_path / "manual")
    if packed:
        (tmp_path / "zip").mkdir()
        archive = miniatures.zipped(manual, tmp_path / "zip" / "Adobe.zip")
        manual = archive.parent
    with pytest.raises(InputError) as error:
        prepare("composition_1k", data_dir=tmp_path / "data", manual_dir=manual)
    message = str(error.value)
    start = f"{archive}: " if packed else f"{manual}/"
    part = f"{start}Combined_Dataset/Training_set/Adobe-licensed images"
    assert f"{part}/fg/web_1.png: is cut short" in message
    assert f"{part}/alpha/lace.b.png is 12x9 but" in message
    assert "Training_set/Other/alpha/veil: is missing" in message
    assert "\n" not in message
    assert not list((tmp_path / "data").rglob("*.array_record*"))


def test_skipped_files_are_in_the_metadata(tmp_path, miniature):
    manual = damaged(tmp_path / "manual")
    prepared = prepare(
        "composition_1k", data_dir=tmp_path, manual_dir=manual, skip_corrupt=True
    )
    source = TfdsSource(prepared, backgrounds=miniature.backgrounds)
    assert source.num_foregrounds == 1
    np.testing.assert_array_equal(
        source.foreground(0)[0], miniature.source.foreground(2)[0]
    )
    records = metadata(prepared)
    assert len(records["skipped"]) == 3
    assert records["unused"] == [
        "Combined_Dataset/Training_set/Other/fg/notes.txt",
    ]


def test_part_of_a_set_is_refused(tmp_path):
    top = composition(tmp_path / "manual")
    for role in ("fg", "alpha"):
        (top / "Adobe-licensed images" / role / "web_1.png").unlink()
    with pytest.raises(InputError, match="2 foregrounds found; composition_1k has 3"):
        prepare("composition_1k", data_dir=tmp_path, manual_dir=tmp_path / "manual")


def test_zip_files_are_checked_as_folders_are(tmp_path):
    top = composition(tmp_path / "manual")
    (tmp_path / "zip").mkdir()
    archive = tmp_path / "zip" / "Adobe.zip"
    miniatures.zipped(tmp_path / "manual", archive)
    with zipfile.ZipFile(archive, "a") as file:
        name = f"Combined_Dataset/Training_set/Other/fg/{'x' * 300}.png"
        file.writestr(name, b"")
    with pytest.raises(InputError, match="Adobe.zip: has the file name 'xxx"):
        prepare("composition_1k", data_dir=tmp_path, manual_dir=archive.parent)
    (top / "Other" / "fg" / "lace.b.png").unlink()
    miniatures.zipped(tmp_path / "manual", archive)
    with pytest.raises(InputError, match="zip: Combined_Data.*/Other/fg: no images"):
        prepare("composition_1k", data_dir=tmp_path, manual_dir=archive.parent)


def test_absent_originals_are_explained(tmp_path):
    with pytest.raises(InputError, match="Brian Price"):
        prepare("composition_1k", data_dir=tmp_path, manual_dir=tmp_path / "absent")
    (tmp_path / "manual").mkdir()
    for name in ("a.zip", "b.zip"):
        miniatures.zipped(tmp_path / "manual", tmp_path / "manual" / name)
        with pytest.raises(InputError, match="holds no foregrounds|a.zip, b.zip"):
            prepare("composition_1k", data_dir=tmp_path, manual_dir=tmp_path / "manual")
    with pytest.raises(InputError, match="no data set 'comp'; expected composition_1k"):
        prepare("comp", data_dir=tmp_path, manual_dir=tmp_path)


def test_ciom(tmp_path, miniature):
    for number in range(3):
        miniatures.save(tmp_path / "manual" / "fg" / f"{number}.png", pixels(number))
        alpha = pixels(number, 1, channels=1)
        miniatures.save(tmp_path / "manual" / "alpha" / f"{number}.png", alpha)
    prepared = prepare("ciom", data_dir=tmp_path, manual_dir=tmp_path / "manual")
    source = TfdsSource(prepared, backgrounds=miniature.backgrounds)
    for number in range(3):
        image, alpha = source.foreground(number)
        np.testing.assert_array_equal(image, pixels(number))
        np.testing.assert_array_equal(alpha, pixels(number, 1, channels=1))


def test_folder_of_cutouts_in_either_format(tmp_path, miniature):
    cutouts = tmp_path / "cutouts"
    for number in range(3):
        miniatures.save(cutouts / f"{number}.png", pixels(number, channels=4))
    config = FolderConfig(name="mine", foregrounds=cutouts)
    builder = MattingFolder(data_dir=str(tmp_path), config=config)
    builder.download_and_prepare()
    source = TfdsSource(builder.data_dir, backgrounds=miniature.backgrounds)
    reference = FolderSource(cutouts, backgrounds=miniature.backgrounds)
    assert_same_foregrounds(source, reference)

    options = {"data_dir": str(tmp_path / "other"), "file_format": "tfrecord"}
    builder = MattingFolder(config=config, **options)
    builder.download_and_prepare()
    for index, example in enumerate(tfds.as_numpy(builder.as_dataset(split="train"))):
        image, alpha = reference.foreground(index)
        np.testing.assert_array_equal(example["foreground"], image)
        np.testing.assert_array_equal(example["alpha"][..., 0], alpha)
    with pytest.raises(InputError, match="format tfrecord; expected array_record"):
        TfdsSource(builder.data_dir, backgrounds=miniature.backgrounds)


def test_folder_has_to_be_named(tmp_path):
    with pytest.raises(InputError, match="give config=FolderConfig"):
        MattingFolder(data_dir=str(tmp_path)).download_and_prepare()


def test_keys_keep_the_order_through_files_on_disk(tmp_path, miniature, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 0)
    sizes = []
    bucket = tfds.core.shuffle._Bucket
    read = bucket.read_values
    monkeypatch.setattr(
        bucket, "read_values", lambda self: sizes.append(len(self)) or read(self)
    )
    prepared = prepare("composition_1k", data_dir=tmp_path, manual_dir=miniature.manual)
    source = TfdsSource(prepared, backgrounds=miniature.backgrounds)
    assert_same_foregrounds(source, miniature.source)
    assert max(sizes) == 1  # never all of them in memory


def test_damaged_sets_are_refused(tmp_path, miniature):
    with pytest.raises(InputError, match="no prepared data set in"):
        TfdsSource(tmp_path, backgrounds=miniature.backgrounds)
    for name in ("a", "b"):
        place = tmp_path / name
        place.mkdir()
        for file in miniature.prepared.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="holds several data sets"):
        TfdsSource(tmp_path, backgrounds=miniature.backgrounds)
    with pytest.raises(InputError, match="split 'test' .* cannot be opened"):
        TfdsSource(tmp_path / "a", backgrounds=miniature.backgrounds, split="test")
    (records,) = (tmp_path / "a").glob("*array_record*")
    records.write_bytes(b"\0" * records.stat().st_size)
    with pytest.raises(InputError, match="cannot be read|cannot be opened"):
        source = TfdsSource(tmp_path / "a", backgrounds=miniature.backgrounds)
        source.foreground(1)
    (tmp_path / "b" / "dataset_info.json").write_text("{")
    with pytest.raises(InputError, match="cannot be opened"):
        TfdsSource(tmp_path / "b", backgrounds=miniature.backgrounds)
    with pytest.raises(IndexError):
        miniature.source.foreground(3)


@pytest.mark.parametrize("package", ["tensorflow_datasets", "array_record"])
def test_absent_packages_are_explained(tmp_path, monkeypatch, package):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}.*not installed; install it with"):
        TfdsSource(tmp_path, backgrounds=tmp_path)


def test_imports_stay_light(miniature):
    """`input_pipeline` imports no TFDS, and reading a set no TensorFlow."""
    program = (
        "import sys, input_pipeline, input_pipeline.tfds_builders.preparation\n"
        "from input_pipeline.tfds_builders.source import TfdsSource\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
        "source = TfdsSource(sys.argv[1], backgrounds=sys.argv[2])\n"
        "assert source.foreground(2)[0].shape == (20, 24, 3)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    places = [str(miniature.prepared), str(miniature.backgrounds)]
    subprocess.run([sys.executable, "-c", program, *places], check=True)
