"""What all configs share: the fields, and the reduction to a smoke test."""

from __future__ import annotations

from dataclasses import asdict

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from input_pipeline.protocol.capture import Capture
from input_pipeline.protocol.recipe import Recipe
from tmfnet_jax.errors import InputError


def base_config() -> ConfigDict:
    """Return every field with the paper's value; configs override and lock."""
    config = ConfigDict()
    config.seed = 0  # of the initial weights and of the stream of samples
    config.batch_size = 32  # over all devices; the paper's ablations
    config.laplacian = True  # third term of the loss; off in Table 3's first part
    # Weights to start from, instead of random ones: of a whole network (any that
    # `tmfnet matte` takes, a workdir, a .pth), or an ImageNet ResNet-50-s.
    config.init = placeholder(str)
    config.encoder_init = placeholder(str)
    # One training in stages: the workdir of the run whose whole state, with step and
    # optimiser, this one goes on from; and this one's last step, 0 for that of
    # optimizer.steps, which is the length of all stages together.
    config.continue_from = placeholder(str)
    config.until = 0

    # How a step is computed; see tmfnet_jax.train_step.StepConfig.
    config.accumulation = 1  # parts of a batch, one after the other: less memory
    config.norm_groups = 1  # BatchNorm statistics a batch; the paper's run had 4
    config.remat = "none"  # "convolutions": less memory, the rest computed twice
    config.parameter_shards = 1  # devices that share one copy of the parameters

    config.network = ConfigDict()  # fields of tmfnet_jax.model.TMFNetConfig
    config.network.context = "tmp"
    config.network.fusion = ("glf", "glf", "glf")
    config.network.width = 1.0
    config.network.dtype = "float32"
    config.network.confidence = False  # an estimate of its own error, trained too

    config.optimizer = ConfigDict()  # fields of tmfnet_jax.optim.OptimizerConfig
    config.optimizer.learning_rate = 0.01
    config.optimizer.steps = 200_000
    config.optimizer.warmup_steps = 5_000
    config.optimizer.warmup_ratio = 0.001
    config.optimizer.multipliers = ""  # of the learning rate: "encoder=0.1"
    config.optimizer.freeze = ""  # "encoder,context"
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 0.0
    config.optimizer.average_decay = 0.0  # of the weights' running average

    config.data = ConfigDict()
    # "folders", "composition-1k", "ciom", "prepared", "tfds" or "synthetic"
    config.data.kind = "folders"
    # Of all kinds; of "prepared" only to replace its own, of "synthetic" to take
    # textures and scenes from. Folder of photos, or several with commas between.
    config.data.backgrounds = placeholder(str)
    # "composition-1k", "ciom": folder of the data set; "prepared": what `tmfnet
    # prepare` wrote, or several with commas between, of which samples take the shares
    # given here in the same order, "0.7,0.3"; "tfds": the set's prepared folder or its
    # name.
    config.data.folder = placeholder(str)
    config.data.shares = placeholder(str)
    # "folders": folders of foregrounds and of their alphas, files of equal names;
    # several with commas between. Without alphas they are RGBA cut-outs. "synthetic":
    # cut-outs to draw among the generated subjects.
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
    config.recipe.min_known = 0.0
    config.recipe.capture = ConfigDict(asdict(Capture()))  # nothing

    config.validation = ConfigDict()  # on crops of a set of `tmfnet eval`
    config.validation.set = "generated"
    config.validation.folder = placeholder(str)
    config.validation.trimaps = placeholder(str)  # options as of `tmfnet eval`
    config.validation.backgrounds = placeholder(str)
    config.validation.images = 16  # spread over the set
    config.validation.every = 2_000  # steps; 0: never

    config.log_every = 100  # steps between lines of metrics
    config.checkpoint_every = 2_000  # steps between checkpoints
    config.keep_checkpoints = 3  # the last ones
    config.keep_best = 1  # beside them, by validation SAD
    config.stop_after_skipped = 10  # steps running without a finite loss
    config.tensorboard = True
    config.histograms = False  # of the parameters, for TensorBoard
    config.share_of_peak = True  # measure a matrix product to compare with
    # For the model card: terms of the weights and of the training data.
    config.license = placeholder(str)
    config.data_license = placeholder(str)
    return config


def scale_recipe(config: ConfigDict, crop_px: int) -> None:
    """Set a smaller crop, and the recipe's lengths in proportion."""
    recipe = Recipe.for_crop(crop_px)
    config.recipe.crop_px = crop_px
    config.recipe.rotation_min_side_px = recipe.rotation_min_side_px
    config.recipe.trimap_max_kernel_px = recipe.trimap_max_kernel_px


def split_argument(argument: str, *, default: str, what: str) -> tuple[str, str]:
    """Split `NAME,smoke` into the name, or the default, and "smoke" or ""."""
    words = [word for word in argument.split(",") if word]
    names = [word for word in words if word != "smoke"] or [default]
    if len(names) > 1:
        raise InputError(
            f"config argument {argument!r}; expected {what} or {what},smoke"
        )
    return names[0], "smoke" if "smoke" in words else ""


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
        config.data.backgrounds = config.data.foregrounds = None
        config.data.size_px = 96
        config.log_every = 1
        config.checkpoint_every = 2
        config.validation.every = 2
        config.validation.images = 2
        config.share_of_peak = False
        scale_recipe(config, 64)
    return config.lock()
