"""The two pictures of a subject: its colours, denoised, and its alpha."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from experiments.rendering.blender.stage import Stage

COLOUR_SAMPLES = 8
ALPHA_SAMPLES = 64  # at most; where alpha does not vary they are fewer
ALPHA_NOISE = 0.02


def render(
    stage: Stage, size: int, threads: int, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Render a subject.

    Args:
      stage: with camera and lights.
      size: height and width, in pixels.
      threads: of the processor.
      folder: for files in between.
    Returns:
      Colours, premultiplied and linear, float32 [size, size, 3], and alpha, float32
      [size, size] in [0, 1].
    """
    scene = stage.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "OPEN_EXR", "RGBA"
    settings.color_depth, settings.exr_codec = "32", "NONE"
    cycles = scene.cycles
    cycles.device, cycles.seed = "CPU", 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    scene.cycles_curves.shape = "RIBBONS"
    scene.cycles_curves.subdivisions = 2

    cycles.samples, cycles.use_adaptive_sampling = COLOUR_SAMPLES, False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.max_bounces = 3
    cycles.diffuse_bounces, cycles.glossy_bounces = 1, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 2, 12
    cycles.sample_clamp_direct, cycles.sample_clamp_indirect = 10, 3
    colours = _picture(scene, folder / "colours.exr")[..., :3]

    stage.show_alpha()
    scene.world = None
    cycles.use_denoising, cycles.use_adaptive_sampling = False, True
    cycles.samples, cycles.adaptive_min_samples = ALPHA_SAMPLES, 16
    cycles.adaptive_threshold = ALPHA_NOISE
    cycles.max_bounces = 0
    cycles.transparent_max_bounces = 48
    # No random end to paths through several layers: it would speckle the alpha.
    cycles.min_transparent_bounces = 48
    alpha = _picture(scene, folder / "alpha.exr")[..., 3]
    return colours, alpha


def _picture(scene, path: Path) -> np.ndarray:
    """Render to a file and read it, float32 [H, W, 4]."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(height, width, 4)[::-1]
