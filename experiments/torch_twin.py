"""TMFNet in PyTorch, to check against and to measure against; needs `torch`.

Written from the paper and the published layer names in the form usual there: NCHW
modules, evaluation mode. `tmfnet convert weights.safetensors weights.pth` writes
what `load` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 16
GROUP_CHANNELS = 16
POOL_WINDOWS = (31, 17, 11, 5)
LEAKY_SLOPE = 0.01
MASK_EPSILON = 1e-6
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
TRIMAP_VALUES = (0, 128, 255)


def _conv(inputs: int, outputs: int, size: int, **options) -> nn.Conv2d:
    """Square convolution that keeps the size at stride 1."""
    padding = options.get("dilation", 1) * (size // 2)
    return nn.Conv2d(inputs, outputs, size, padding=padding, **options)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)


def _conv_norm_leaky(inputs: int, outputs: int, size: int) -> list[nn.Module]:
    return [_conv(inputs, outputs, size), nn.BatchNorm2d(outputs), _leaky()]


class Bottleneck(nn.Module):
    """1x1, 3x3 (stride and dilation), 1x1 (x4) and a shortcut."""

    def __init__(
        self, inputs: int, planes: int, *, stride: int, dilation: int, project: bool
    ):
        super().__init__()
        outputs = 4 * planes
        self.conv1 = _conv(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(
            planes, planes, 3, stride=stride, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = _conv(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(
                _conv(inputs, outputs, 1, stride=stride, bias=False),
                nn.BatchNorm2d(outputs),
            )
            if project
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, inputs, H, W] to [B, 4 planes, H / stride, W / stride]."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def _layer(
    inputs: int, planes: int, *, stride: int, dilations: Sequence[int]
) -> nn.Sequential:
    first = Bottleneck(
        inputs, planes, stride=stride, dilation=dilations[0], project=True
    )
    rest = (
        Bottleneck(4 * planes, planes, stride=1, dilation=dilation, project=False)
        for dilation in dilations[1:]
    )
    return nn.Sequential(first, *rest)


class ResNet50S(nn.Module):
    """Encoder with a deep stem, six input channels and output stride 16.

    Args:
      stem: channels of the first two stem convolutions and of the third.
      planes: of the four layers.
    """

    def __init__(self, stem: tuple[int, int], planes: Sequence[int]):
        super().__init__()
        narrow, wide = stem
        p1, p2, p3, p4 = planes
        self.conv1 = nn.Sequential(
            _conv(6, narrow, 3, stride=2, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            _conv(narrow, narrow, 3, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            _conv(narrow, wide, 3, bias=False),
        )
        self.bn1 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(wide, p1, stride=1, dilations=(1,) * 3)
        self.layer2 = _layer(4 * p1, p2, stride=2, dilations=(1,) * 4)
        self.layer3 = _layer(4 * p2, p3, stride=2, dilations=(1,) * 6)
        self.layer4 = _layer(4 * p3, p4, stride=1, dilations=(1, 2, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return C1, C2 and C5 at 1/2, 1/4 and 1/16 of [B, 6, H, W]."""
        c1 = self.relu(self.bn1(self.conv1(x)))
        c2 = self.layer1(self.maxpool(c1))
        return c1, c2, self.layer4(self.layer3(self.layer2(c2)))


class MaskedPool(nn.Module):
    """One branch of TMP: NBP_k = avg(F M) / (avg(M) + 1e-6) around every pixel."""

    def __init__(self, inputs: int, outputs: int, window: int):
        super().__init__()
        self.conv = nn.Sequential(*_conv_norm_leaky(inputs, outputs, 1))
        self.window = window

    def average(self, x: Tensor) -> Tensor:
        """Average over the window; pixels outside the image do not count."""
        return F.avg_pool2d(
            x,
            self.window,
            stride=1,
            padding=self.window // 2,
            count_include_pad=False,
        )

    def forward(self, c5: Tensor, mask: Tensor) -> Tensor:
        """Pool C5 over the mask [B, 1, h, w]; the ratio is one of float32."""
        total = self.average(self.conv(c5) * mask)
        return (total / (self.average(mask) + MASK_EPSILON)).to(c5.dtype)


class Fusion(nn.Module):
    """GLF (Eqs. 4-7), or LF where there is no global vector.

    Args:
      high: channels of X_h.
      low: channels of X_l.
      middle: C3, divisible by 16.
      outputs: channels of the result.
      context: channels of G, or None.
    """

    def __init__(
        self, high: int, low: int, middle: int, outputs: int, context: int | None
    ):
        super().__init__()
        squeezed = middle // 4
        self.reduce = _conv(high // 4 + low, middle, 1)
        self.conv1 = nn.Sequential(_conv(middle, squeezed, 1))
        self.embconv = None if context is None else _conv(context, squeezed, 1)
        self.leaky = _leaky()
        self.conv2 = _conv(squeezed, 9 * middle // GROUP_CHANNELS, 3)
        self.out = nn.Sequential(*_conv_norm_leaky(middle, outputs, 1))

    def forward(self, high: Tensor, low: Tensor, context: Tensor | None) -> Tensor:
        """Fuse [B, high, H, W] with [B, low, 2H, 2W] to [B, outputs, 2H, 2W]."""
        x = self.reduce(torch.cat([F.pixel_shuffle(high, 2), low], 1))
        squeezed = self.conv1(x)
        if self.embconv is not None:
            squeezed = squeezed + self.embconv(context)
        return self.out(local_filter(x, self.conv2(self.leaky(squeezed))))


def local_filter(x: Tensor, kernels: Tensor) -> Tensor:
    """Filter every pixel by its own 3x3 kernel (Eq. 6).

    Nine shifted products: `F.unfold` would hold nine copies of x.

    Args:
      x: [B, C, H, W], C divisible by 16.
      kernels: [B, 9 C / 16, H, W]; channel group * 9 + ky * 3 + kx.
    """
    b, c, h, w = x.shape
    kernels = kernels.view(b, -1, 9, 1, h, w)
    around = F.pad(x, (1, 1, 1, 1)).view(b, -1, GROUP_CHANNELS, h + 2, w + 2)
    total = torch.zeros_like(x).view(b, -1, GROUP_CHANNELS, h, w)
    for tap in range(9):
        y, x0 = divmod(tap, 3)
        total.addcmul_(around[..., y : y + h, x0 : x0 + w], kernels[:, :, tap])
    return total.view(b, c, h, w)


class Decoder(nn.Module):
    """TMP, three fusion stages and the head.

    Args:
      fusion: "lf", "glf", "glf_b" or "glf_c" for F1, F2, F3.
      c1, c2, c5: channels of the encoder's features.
      wide, middle, narrow, head: channels published as 256, 64, 32 and 16.
    """

    def __init__(
        self,
        fusion: Sequence[str],
        *,
        c1: int,
        c2: int,
        c5: int,
        wide: int,
        middle: int,
        narrow: int,
        head: int,
    ):
        super().__init__()
        self.fusion = tuple(fusion)
        self.ppm = nn.ModuleList([MaskedPool(c5, wide, k) for k in POOL_WINDOWS])
        self.conv_up1 = nn.Sequential(
            *_conv_norm_leaky(c5 + len(POOL_WINDOWS) * wide, wide, 3),
            *_conv_norm_leaky(wide, wide, 3),
        )

        def stage(kind, high, low, inner, outputs):
            vector = {"lf": None, "glf": wide, "glf_b": high, "glf_c": c5}[kind]
            return Fusion(high, low, inner, outputs, vector)

        self.conv_up2 = stage(fusion[0], wide, c2, wide, wide)
        self.conv_up3 = stage(fusion[1], wide, c1, wide, middle)
        self.conv_up4_1 = stage(fusion[2], middle, 6, narrow, narrow)
        self.conv_up4_2 = nn.Sequential(
            _conv(narrow, head, 3), _leaky(), _conv(head, 1, 1)
        )

    def forward(self, x: Tensor, c1: Tensor, c2: Tensor, c5: Tensor) -> Tensor:
        """Map the input and the encoder's features to [B, 1, H, W]."""
        mask = F.interpolate(
            (x[:, 4:5] + x[:, 5:6]).float(),
            size=c5.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        mined = self.conv_up1(
            torch.cat([c5, *(pool(c5, mask) for pool in self.ppm)], 1)
        )
        high = F.interpolate(mined, scale_factor=2, mode="bilinear", align_corners=True)
        stages = (self.conv_up2, self.conv_up3, self.conv_up4_1)
        for kind, stage, low in zip(self.fusion, stages, (c2, c1, x), strict=True):
            source = {"glf": mined, "glf_b": high, "glf_c": c5}.get(kind)
            context = None if source is None else source.mean((2, 3), keepdim=True)
            high = stage(high, low, context)
        return self.conv_up4_2(high)


class Backbone(nn.Module):
    """Encoder and decoder under the names that the published weights have."""

    def __init__(self, encoder: ResNet50S, decoder: Decoder):
        super().__init__()
        self.encoder = nn.ModuleDict({"pretrained": encoder})
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, 6, H, W] to [B, 1, H, W]."""
        return self.decoder(x, *self.encoder["pretrained"](x))


class TorchTMFNet(nn.Module):
    """The published network, or one of another width or with other fusion stages.

    Args:
      width: multiplies channel counts, as `TMFNetConfig.width` does.
      fusion: "lf", "glf", "glf_b" or "glf_c" for F1, F2, F3.
    """

    def __init__(self, width: float = 1.0, fusion: Sequence[str] = ("glf",) * 3):
        super().__init__()

        def scaled(published: int) -> int:
            return 16 * max(1, round(published * width / 16))

        planes = [scaled(count) for count in (64, 128, 256, 512)]
        encoder = ResNet50S((scaled(64), scaled(128)), planes)
        decoder = Decoder(
            fusion,
            c1=scaled(128),
            c2=4 * planes[0],
            c5=4 * planes[3],
            wide=scaled(256),
            middle=scaled(64),
            narrow=scaled(32),
            head=scaled(16),
        )
        self.backbone = Backbone(encoder, decoder)

    def forward(self, x: Tensor) -> Tensor:
        """Predict alpha, not clipped: [B, 6, H, W] to [B, 1, H, W].

        Args:
          x: normalised RGB, then background, unknown and foreground planes;
            H and W divisible by 16.
        """
        return self.backbone(x)


def load(
    path: str | Path, *, width: float = 1.0, fusion: Sequence[str] = ("glf",) * 3
) -> TorchTMFNet:
    """Build a network for inference from a checkpoint with its "state_dict"."""
    network = TorchTMFNet(width, fusion)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(checkpoint["state_dict"], strict=True)
    return network.eval()


def network_input(image: Tensor, trimap: Tensor) -> Tensor:
    """Assemble [1, 6, H, W] float32 from uint8 [H, W, 3] RGB and [H, W] trimap."""
    mean, std = (
        image.new_tensor(v, dtype=torch.float32) for v in (IMAGE_MEAN, IMAGE_STD)
    )
    colours = ((image.float() / 255 - mean) / std).permute(2, 0, 1)
    labels = torch.stack([trimap == value for value in TRIMAP_VALUES]).float()
    return torch.cat([colours, labels])[None]


@torch.inference_mode()
def predict_alpha(
    network: nn.Module, image: np.ndarray, trimap: np.ndarray
) -> np.ndarray:
    """Predict the alpha matte, as `tmfnet_jax.Matting.alpha` does.

    Args:
      network: a `TorchTMFNet` or the compiled form of one, on any device.
      image: [H, W, 3] uint8 RGB.
      trimap: [H, W] uint8 with values 0, 128, 255.
    Returns:
      [H, W] float32 in [0, 1]; exactly 0 and 1 where the trimap knows.
    """
    h, w = trimap.shape
    parameter = next(network.parameters())
    pixels, labels = (torch.tensor(a, device=parameter.device) for a in (image, trimap))
    x = network_input(pixels, labels)
    x = F.pad(x, (0, -w % STRIDE, 0, -h % STRIDE), mode="replicate")
    alpha = network(x.to(parameter.dtype))[0, 0, :h, :w].float().clamp(0, 1)
    known = (labels == 255).float()
    return torch.where(labels == 128, alpha, known).cpu().numpy()
