"""What all configs share: the fields, and the reduction to a smoke test."""

from __future__ import annotations

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from tmfnet_jax.errors import InputError


def base_config() -> ConfigDict:
    """Return every field with the paper's value; configs override and lock."""
    config = ConfigDict()
    config.seed = 0  # of the initial weights and of the stream of samples
    config.batch_size = 32  # over all devices; the paper's ablations
    config.laplacian = True  # third term of the loss; off in Table 3's first part

    config.network = ConfigDict()  # fields of tmfnet_jax.model.TMFNetConfig
    config.network.context = "tmp"
    config.network.fusion = ("glf", "glf", "glf")
    config.network.width = 1.0
    config.network.dtype = "float32"

    config.optimizer = ConfigDict()  # fields of tmfnet_jax.optim.OptimizerConfig
    config.optimizer.learning_rate = 0.01
    config.optimizer.steps = 200_000
    config.optimizer.warmup_steps = 5_000
    config.optimizer.warmup_ratio = 0.001

    config.data = ConfigDict()
    # "folders", "composition-1k", "ciom", "prepared", "tfds" or "synthetic"
    config.data.kind = "folders"
    # Of all kinds; of "prepared" only to replace its own, of "synthetic" to take
    # textures and scenes from. Folder of photos, or several with commas between.
    config.data.backgrounds = placeholder(str)
    # "composition-1k", "ciom": folder of the data set; "prepared": what `tmfnet
    # prepare` wrote; "tfds": the set's prepared folder or its name.
    config.data.folder = placeholder(str)
    # "folders": folders of foregrounds and of their alphas, files of equal names;
    # several with commas between. Without alphas they are RGBA cut-outs.
    config.data.foregrounds = placeholder(str)
    config.data.alphas = placeholder(str)
    # "synthetic"
    config.data.size_px = 320  # side of a generated foreground
    config.data.pool = 0  # generated foregrounds kept in memory; 0: always new ones
    # How samples are made; they are the same whatever is set here: "tf" (tf.data),
    # "threads" or "processes" (both without TensorFlow; processes for many cores).
    config.data.loader = "tf"
    config.data.workers = 2  # samples made at a time

    config.recipe = ConfigDict()  # fields of input_pipeline.protocol.recipe.Recipe
    config.recipe.crop_px = 512

    config.log_every = 100  # steps between lines of metrics
    config.checkpoint_every = 2_000  # steps between checkpoints
    config.keep_checkpoints = 3
    config.tensorboard = True
    return config


def scale_recipe(config: ConfigDict, crop_px: int) -> None:
    """Set a smaller crop, and the recipe's lengths in proportion."""
    from input_pipeline.protocol.recipe import Recipe

    recipe = Recipe.for_crop(crop_px)
    config.recipe.crop_px = crop_px
    config.recipe.rotation_min_side_px = recipe.rotation_min_side_px
    config.recipe.trimap_max_kernel_px = recipe.trimap_max_kernel_px


def finish(config: ConfigDict, argument: str) -> ConfigDict:
    """Apply the argument after the config's file name (`file.py:smoke`)."""
    if argument not in ("", "smoke"):
        raise InputError(f"config argument {argument!r}; expected nothing or 'smoke'")
    if argument == "smoke":
        config.network.width = 0.05
        config.batch_size = 4
        config.optimizer.steps = 4
        config.optimizer.warmup_steps = 2
        config.data.kind = "synthetic"
        config.data.size_px = 96
        config.log_every = 1
        config.checkpoint_every = 2
        scale_recipe(config, 64)
    return config.lock()
