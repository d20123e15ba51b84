"""Mattes of any size: padding, known pixels, augmentation, refused arrays."""

from __future__ import annotations

import itertools

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tmfnet_jax import Matting
from tmfnet_jax.augmented_inference import members
from tmfnet_jax.errors import InputError
from tmfnet_jax.model import TMFNetConfig, network_input
from tmfnet_jax.parameters import initial_network
from tmfnet_jax.serving.source import PixelSource


@pytest.fixture(scope="module")
def matting():
    return Matting(initial_network(TMFNetConfig(width=0.05), seed=0))


def scene(height, width, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (height, width))
    trimap.flat[0] = 255
    return image, trimap


def test_odd_size_meets_the_reference(published):
    data = goldens.load("forward_eval")
    trimap = data["odd_trimap"][0, ..., 0]
    got = Matting(published).alpha(data["odd_image"][0], trimap)
    # The reference is neither clipped nor overwritten where the trimap knows.
    expected = data["odd_rep16_alpha"][0, ..., 0]
    unknown = trimap == 0.5
    bound = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(
        got[unknown], expected[unknown].clip(0, 1), rtol=0, atol=bound
    )
    assert ((expected[unknown] > 0) & (expected[unknown] < 1)).sum() > 100


def test_the_published_padding_meets_the_reference(published):
    """The published test configuration reflects to multiples of 32."""
    data = goldens.load("forward_eval")
    padding = ((0, 0), (0, 96 - 75), (0, 128 - 101), (0, 0))
    image, trimap = (
        np.pad(data[f"odd_{name}"], padding, mode="reflect")
        for name in ("image", "trimap")
    )
    labels = np.round(trimap * 255.001).astype(np.uint8)
    x = network_input(jnp.asarray(image), jnp.asarray(labels))
    model = nnx.view(published, use_running_average=True)
    got = jax.jit(lambda x: model(x))(x)[:, :75, :101]
    expected = data["odd_ref32_alpha"]
    bound = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("size", [(1, 1), (1, 15), (31, 17)])
def test_size_is_kept_and_known_pixels_are_exact(matting, size):
    image, trimap = scene(*size)
    alpha = matting.alpha(image, trimap)
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert (alpha[trimap == 0] == 0).all()
    assert (alpha[trimap == 255] == 1).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_types_of_one_image_give_one_alpha(matting):
    image, trimap = scene(32, 32)
    reference = matting.alpha(image, trimap)
    for other in (image.astype(np.uint16) * 257, image / 255, image / np.float32(255)):
        np.testing.assert_allclose(matting.alpha(other, trimap), reference, atol=1e-5)


def test_unknown_region_everywhere_else_does_not_matter(matting):
    image, trimap = scene(32, 32)
    everything_known = np.where(trimap == 128, np.uint8(0), trimap)
    alpha = matting.alpha(image, everything_known)
    np.testing.assert_array_equal(alpha, everything_known / 255)


@pytest.mark.parametrize("tta", ["8", "10"])
def test_augmentation_commutes_with_flips(matting, tta):
    image, trimap = scene(32, 32)
    calls: list[tuple[int, int]] = []
    alpha = matting.alpha(
        image, trimap, tta=tta, progress=lambda *step: calls.append(step)
    )
    shares = [done / total for done, total in calls]
    assert all(a < b for a, b in itertools.pairwise(shares))
    assert shares[-1] == 1
    assert alpha.shape == (32, 32)
    assert np.abs(alpha - matting.alpha(image, trimap)).max() > 1e-4
    if tta == "8":  # no padding at this size, so the mean is symmetric
        flipped = matting.alpha(image[:, ::-1], trimap[:, ::-1], tta=tta)
        np.testing.assert_allclose(flipped[:, ::-1], alpha, atol=1e-5)


def test_augmented_images_come_back_into_the_frame():
    image, trimap = scene(32, 64)
    seen = set()
    for member in members(image, trimap, mode="8"):
        source = member.source
        assert isinstance(source, PixelSource)
        pixels = source.image
        np.testing.assert_array_equal(member.restore(pixels[..., 0]), image[..., 0])
        np.testing.assert_array_equal(member.restore(source.trimap), trimap)
        seen.add(pixels.tobytes())
    assert len(seen) == 8
    for member, size in zip(
        members(image, trimap, mode="10")[8:], [(64, 128), (16, 32)], strict=True
    ):
        assert (member.source.height, member.source.width) == size
        slope = np.broadcast_to(np.linspace(0, 1, size[1], dtype=np.float32), size)
        restored = member.restore(slope)
        expected = np.broadcast_to(np.linspace(0, 1, 64), (32, 64))
        np.testing.assert_allclose(restored, expected, atol=1e-6)


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (zeros(8, 8), r"image has shape \(8, 8\); expected"),
        (zeros(8, 8, 4), r"image has shape \(8, 8, 4\)"),
        (zeros(0, 8, 3), r"image has shape \(0, 8, 3\)"),
        (zeros(8, 8, 3, dtype=np.int32), "image has type int32"),
        (np.full((8, 8, 3), np.nan), "192 values that are NaN or outside"),
        (np.full((8, 8, 3), 255.0), "scale floating-point images"),
        (zeros(8, 9, 3), "image is 9x8 and trimap is 8x8 pixels"),
    ],
)
def test_unusable_images(matting, image, message):
    trimap = zeros(8, 8)
    trimap[2:4] = 128
    with pytest.raises(InputError, match=message):
        matting.alpha(image, trimap)


@pytest.mark.parametrize(
    ("trimap", "message"),
    [
        (np.full((8, 8), np.nan), "trimap has 64 values that are NaN or outside"),
        (np.full((8, 8), 128, np.uint8), "trimap has no known pixel"),
        (zeros(8, 8, 2), r"trimap has shape \(8, 8, 2\)"),
    ],
)
def test_unusable_trimaps(matting, trimap, message):
    with pytest.raises(InputError, match=message):
        matting.alpha(zeros(8, 8, 3), trimap)


def test_one_pixel(matting):
    assert matting.alpha(zeros(1, 1, 3), zeros(1, 1) + 255) == 1
    with pytest.raises(InputError, match="no known pixel"):
        matting.alpha(zeros(1, 1, 3), zeros(1, 1) + 128)


def test_images_of_known_pixels_report_no_steps(matting):
    calls: list[tuple[int, int]] = []
    alpha = matting.alpha(
        zeros(8, 8, 3), zeros(8, 8), progress=lambda *step: calls.append(step)
    )
    assert (alpha == 0).all()
    assert not calls


def test_unknown_augmentation(matting):
    with pytest.raises(InputError, match="tta is '9'; expected one of none, 8, 10"):
        matting.alpha(*scene(16, 16), tta="9")


def test_diverged_weights_are_named():
    model = initial_network(TMFNetConfig(width=0.05), seed=0)
    model.head[1].bias[...] = jnp.full(1, jnp.inf)
    with pytest.raises(InputError, match="output is not finite"):
        Matting(model).alpha(*scene(16, 16))
