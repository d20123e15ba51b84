"""What `tmfnet prepare` and `tmfnet data check` share: which data are meant."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from tmfnet_jax.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

MAX_THREADS = 8  # by default; each holds an image of up to some 100 MB

KINDS_HELP = """\
Kinds:
  folders DIR         your own foregrounds; --alphas: folder of their alphas, files of
                      equal names; without it they are cut-outs (RGBA). Several
                      folders are separated by commas, those of --alphas likewise
  composition-1k DIR  Training_set, or a folder above it; 431 foregrounds
  ciom DIR            fg and alpha, or a folder above them; 683 foregrounds. The
                      layout of CIOM's own files is not public: this one is assumed"""


def add_data(parser: argparse.ArgumentParser) -> None:
    """Declare kind, folder and the options that go with them."""
    add = parser.add_argument
    add("kind", metavar="KIND", help="a kind of data listed below")
    add("folder", nargs="?", metavar="DIR", help="where its files are")
    add("--alphas", metavar="DIR", help="of kind folders: where the alphas are")
    add(
        "--backgrounds",
        metavar="DIR",
        help="photos, also in folders of this one; COCO, PASCAL VOC or ADE20k",
    )
    add(
        "--threads",
        type=int,
        default=min(MAX_THREADS, os.cpu_count() or 1),
        help="images worked on at a time; default: one a CPU core, at most "
        f"{MAX_THREADS}",
    )


def check_data(options: argparse.Namespace, *kinds: str) -> None:
    """Refuse options that do not fit.

    Raises:
      InputError: not one of `kinds`, or without its folder.
    """
    if options.kind not in kinds:
        raise InputError(
            f"unknown kind {options.kind!r}; expected one of {', '.join(kinds)}"
        )
    if options.threads < 1:
        raise InputError(f"--threads is {options.threads}; give at least 1")
    if options.folder is None and options.kind != "synthetic":
        raise InputError(f"kind {options.kind!r} needs the folder of its files")
    if options.alphas is not None and options.kind != "folders":
        raise InputError("--alphas is for kind 'folders'; leave it out")


def list_backgrounds(options: argparse.Namespace) -> tuple[Path, ...]:
    """List the photos of --backgrounds; none without it.

    Raises:
      InputError: no such folder, or no photos there.
    """
    from input_pipeline.training_data.image_files import collect_photos
    from input_pipeline.training_data.training_sources import split_folders

    if options.backgrounds is None:
        return ()
    problems: list[str] = []
    photos = collect_photos(split_folders(options.backgrounds), problems)
    if problems:
        raise InputError("; ".join(problems))
    return photos
