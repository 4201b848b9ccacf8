"""What an agent sees of frames: features of a frozen DINOv2, or small images that a CNN reads.

Everywhere behind the environments an observation is one row of numbers, ``[state | image]``: the
padded state (zeros, where the agent sees frames only), and what was made of the frame. A frame is
looked at once; the replay holds what was made of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.catalog import MAX_OBS_DIM
from mmbench.runs import RunError
from mmbench.shell import command
from newt_agent.config import ObsMode, Vision
from newt_agent.tensors import load_tensors

FRAME_SIZE = 224
"""Height and width of the environments' frames."""
AT_ONCE = 64
"""Frames that are looked at together, so that memory does not grow with the environments."""

DINOV2 = "vit_base_patch14_dinov2"
"""The published encoder, in timm's names: ViT-B/14, of which the class token is read."""
DINOV2_WEIGHTS = "timm/vit_base_patch14_dinov2.lvd142m"
"""Its weights on the Hugging Face hub, 346 MB."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageFormat(NamedTuple):
    """What is made of a frame."""

    features: int
    """Numbers that the world model's encoder reads."""
    pixels: int
    """Side of the image that a CNN makes them of; 0 where they are in the row already."""
    dtype: torch.dtype
    """How the replay holds it."""

    @property
    def entries(self) -> int:
        """Numbers in a row."""
        return 3 * self.pixels**2 or self.features

    @property
    def bytes(self) -> int:
        """Memory in a row of the replay."""
        return self.entries * self.dtype.itemsize


NO_IMAGE = ImageFormat(0, 0, torch.float16)
IMAGE_FORMATS: Mapping[Vision, ImageFormat] = {
    "dinov2": ImageFormat(768, 0, torch.float16),
    "cnn": ImageFormat(288, 56, torch.uint8),
}


def image_format(obs: ObsMode, vision: Vision) -> ImageFormat:
    """Returns what is made of a frame; nothing, where the agent sees none."""
    return NO_IMAGE if obs == "state" else IMAGE_FORMATS[vision]


class Sight:
    """Makes rows of what environments return.

    Args:
        obs: ``rgb`` or ``state+rgb``.
        vision: What looks at the frames.

    Attributes:
        obs: As the argument.
        vision: The same.
    """

    def __init__(self, obs: ObsMode, vision: Vision) -> None:
        self.obs = obs
        self.vision = vision

    def __call__(self, obs: Any, device: torch.device) -> np.ndarray:
        """Looks at observations.

        Args:
            obs: Frames ``[N, 224, 224, 3]`` uint8, or of ``state+rgb`` a dict of ``state``
                ``[N, 128]`` and ``rgb``.
            device: Where it computes.

        Returns:
            ``[N, 128 + entries]`` float32.

        Raises:
            RunError: The weights of DINOv2 are not here.
            ValueError: The observations are of another kind.
        """
        if (self.obs == "state+rgb") is not isinstance(obs, Mapping):
            raise ValueError(f"obs={self.obs}: not what an environment with this setting returns")
        frames = np.asarray(obs["rgb"] if isinstance(obs, Mapping) else obs)
        if frames.ndim != 4 or frames.shape[1:] != (FRAME_SIZE, FRAME_SIZE, 3):
            raise ValueError(f"frames of shape {frames.shape}, expected (N, 224, 224, 3)")
        rows = np.zeros((len(frames), MAX_OBS_DIM + IMAGE_FORMATS[self.vision].entries), np.float32)
        if isinstance(obs, Mapping):
            rows[:, :MAX_OBS_DIM] = obs["state"]
        for start in range(0, len(frames), AT_ONCE):
            some = torch.from_numpy(frames[start : start + AT_ONCE]).to(device)
            rows[start : start + AT_ONCE, MAX_OBS_DIM:] = self.look(some).cpu().numpy()
        return rows

    @torch.no_grad()
    def look(self, frames: Tensor) -> Tensor:
        """Makes what a row holds of frames ``[N, 224, 224, 3]`` uint8: ``[N, entries]`` float32."""
        channels_first = frames.permute(0, 3, 1, 2).float()
        if self.vision == "cnn":
            side = IMAGE_FORMATS["cnn"].pixels
            return F.avg_pool2d(channels_first, FRAME_SIZE // side).round().flatten(1)
        # As the replay holds them, so that acting and learning see the same.
        return load_dinov2(frames.device)(normalised(channels_first)).half().float()


def normalised(frames: Tensor) -> Tensor:
    """Scales frames ``[N, 3, height, width]`` in [0, 255] as DINOv2 was trained."""
    mean, std = (torch.tensor(x, device=frames.device) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (frames / 255 - mean[:, None, None]) / std[:, None, None]


@functools.cache
def load_dinov2(device: torch.device) -> torch.nn.Module:
    """Loads DINOv2 ViT-B/14, from the user's Hugging Face cache.

    Returns:
        From ``[N, 3, 224, 224]`` to the class token after the last LayerNorm, ``[N, 768]``.

    Raises:
        RunError: timm or the weights are not here.
    """
    timm = _require_timm()
    tensors = load_tensors(find_dinov2())
    model = timm.create_model(DINOV2, pretrained=False, num_classes=0, img_size=FRAME_SIZE)
    model.load_state_dict(fit_positions(tensors, model))
    return model.eval().requires_grad_(False).to(device)


def fit_positions(tensors: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Fits weights for images of 518 pixels to a model for fewer.

    Position embeddings are interpolated without antialiasing, as in the published encoder
    (transformers' ``Dinov2Model``); timm's own way differs.
    """
    from timm.models.vision_transformer import checkpoint_filter_fn

    return checkpoint_filter_fn(dict(tensors), model, antialias=False)


def find_dinov2() -> Path:
    """Finds the weights of DINOv2 in the user's Hugging Face cache; nothing is downloaded.

    Raises:
        RunError: timm or the weights are not here.
    """
    _require_timm()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(DINOV2_WEIGHTS, "model.safetensors")
    if not isinstance(found, str):
        download = command("hf", "download", DINOV2_WEIGHTS, "model.safetensors")
        raise RunError(
            f"vision=dinov2: its weights (346 MB) are not here; fetch them with: {download}; or "
            "give --vision cnn, which learns to see and needs none"
        )
    return Path(found)


def _require_timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise RunError(
            f"vision=dinov2 needs the extra `vision` ({error}): "
            + command("pip", "install", "newt-agent[vision]")
            + "; or give --vision cnn, which needs none"
        ) from error
    return timm


class SeenEnvironments:
    """A multitask vector environment whose observations are the rows that an agent reads.

    Args:
        env: With the agent's ``obs``.
        sight: The agent's.
        device: Where it looks.
    """

    def __init__(self, env: Any, sight: Sight, device: torch.device) -> None:
        self.unwrapped = env
        self._see = functools.partial(sight, device=device)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unwrapped, name)

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """As of the environment; observations ``[N, entries]``."""
        obs, infos = self.unwrapped.reset(**arguments)
        return self._see(obs), infos

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        """The same; last observations of episodes are rows too."""
        obs, reward, terminated, truncated, infos = self.unwrapped.step(actions)
        if "final_obs" in infos:
            ended = np.flatnonzero(infos["_final_obs"])
            last = np.full(len(reward), None, object)
            for i, row in zip(ended, self._see(_stacked(infos["final_obs"][ended])), strict=True):
                last[i] = row
            infos = {**infos, "final_obs": last}
        return self._see(obs), reward, terminated, truncated, infos


def _stacked(observations: np.ndarray) -> Any:
    """Observations of several environments, as a vector environment has them."""
    if isinstance(observations[0], Mapping):
        return {name: np.stack([obs[name] for obs in observations]) for name in observations[0]}
    return np.stack(list(observations))
