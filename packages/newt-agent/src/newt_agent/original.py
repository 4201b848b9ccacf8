"""Import checkpoints of the published implementation.

Such a file is a dict with one entry ``model``: a flat state dict in which the layers are named
``_encoder.state.<i>``, ``_dynamics.<i>``, ``_reward.<i>``, ``_pi.<i>`` and
``_Qs.{online,target}._Qs.<head>.<i>``, next to the task tables ``_task_emb.weight`` and
``_action_masks``. It names neither the tasks nor the sizes; the sizes follow from the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmbench.runs import RunError
from newt_agent.layers import MLP, MLPEnsemble
from newt_agent.tensors import check_finite
from newt_agent.world_model import ModelConfig, WorldModel

State = Mapping[str, Tensor]

_REQUIRED = (
    "_action_masks",
    "_encoder.state.0.weight",
    "_encoder.state.1.weight",
    "_dynamics.0.weight",
    "_dynamics.2.weight",
    "_reward.0.weight",
    "_reward.2.weight",
    "_pi.0.weight",
    "_pi.2.weight",
    "_Qs.online._Qs.0.0.weight",
    "_Qs.online._Qs.1.0.weight",
    "_Qs.target._Qs.0.0.weight",
)
_ADVICE = (
    "Expected a checkpoint of the published Newt implementation (.pt). "
    "Runs of newt-train are loaded with newt_agent.Agent.load(DIR)."
)


def import_original(
    path: str | Path, names: Sequence[str] | None = None
) -> tuple[WorldModel, list[str]]:
    """Read a checkpoint of the published implementation.

    Nothing in the file is executed (``weights_only=True``). The file holds no observation
    masks, so the model sees all entries: pad observations with zeros, as the environments do.

    Args:
        path: The ``.pt`` file.
        names: Names of the tasks in the order of the file's table. The file does not hold
            them; if None they become ``task-0``, ``task-1`` and so on.

    Returns:
        The model, on the CPU, and the names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not such a checkpoint, a tensor of it holds NaN or infinity, or
            `names` does not fit its table.
    """
    path = Path(path)
    state = _read(path)
    tasks = len(state["_action_masks"])
    if names is None:
        names = [f"task-{i}" for i in range(tasks)]
    elif len(names) != tasks:
        raise ValueError(f"{path} has a table of {tasks} tasks, but {len(names)} names are given")

    try:
        model = _build(state, tasks)
    except KeyError as error:
        raise ValueError(f"{path}: parameter {error} is missing. {_ADVICE}") from None
    except Exception as error:  # foreign shapes and values raise nearly anything
        raise ValueError(f"{path}: shapes do not fit together ({error}). {_ADVICE}") from None
    return model, list(names)


def _build(state: State, tasks: int) -> WorldModel:
    embeddings = state.get("_task_emb.weight", torch.zeros(tasks, 0))
    config = _infer_config(state, embeddings.shape[1])
    model = WorldModel(config, embeddings, state["_action_masks"])
    split = {"language": embeddings.shape[1]}
    with torch.no_grad():
        obs, latent = config.obs_dim, config.latent_dim
        _fill_mlp(model.encoder, state, "_encoder.state", obs, **split)
        _fill_mlp(model.dynamics, state, "_dynamics", latent, **split)
        _fill_mlp(model.reward_net, state, "_reward", latent, **split)
        _fill_mlp(model.policy, state, "_pi", latent, **split)
        _fill_ensemble(model.q_net, state, "_Qs.online._Qs", latent, **split)
        _fill_ensemble(model.target_q_net, state, "_Qs.target._Qs", latent, **split)
    return model


def _read(path: Path) -> State:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file" if path.exists() else f"no such file: {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on a foreign file
        raise ValueError(f"cannot read {path}: {_reason(error)}. {_ADVICE}") from None
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} has no entry 'model' with a state dict. {_ADVICE}")
    missing = [key for key in _REQUIRED if not isinstance(state.get(key), Tensor)]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}. {_ADVICE}")
    try:
        check_finite(path, {k: v for k, v in state.items() if isinstance(v, Tensor)})
    except RunError as error:
        raise ValueError(str(error)) from None
    return state


def _reason(error: Exception) -> str:
    """Why a file cannot be read, without PyTorch's advice to run what it holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds {found[1]} besides tensors, which could run code and is not loaded"
    return "it is no file of tensors as torch.save writes them, or it is damaged"


def _infer_config(state: State, language: int) -> ModelConfig:
    """Sizes from shapes; bins and simplices, which leave no trace in shapes, are as published."""
    layers = len([key for key in state if re.fullmatch(r"_encoder\.state\.\d+\.weight", key)])
    heads = len([key for key in state if re.fullmatch(r"_Qs\.online\._Qs\.\d+\.0\.weight", key)])
    inputs = state["_encoder.state.0.weight"].shape[1] - language
    log_std_min = float(state.get("log_std_min", torch.tensor(-10.0)))
    log_std_range = float(state.get("log_std_dif", torch.tensor(12.0)))
    obs_dim = min(inputs, 128)
    return ModelConfig(
        enc_dim=state["_encoder.state.0.weight"].shape[0],
        mlp_dim=state["_dynamics.0.weight"].shape[0],
        latent_dim=state["_dynamics.2.weight"].shape[0],
        num_enc_layers=layers,
        num_q=heads,
        num_bins=state["_reward.2.weight"].shape[0],
        log_std_min=log_std_min,
        log_std_max=log_std_min + log_std_range,
        obs_dim=obs_dim,
        action_dim=state["_action_masks"].shape[1],
        image_dim=inputs - obs_dim,
    )


def _split_first(weight: Tensor, x: int, language: int) -> tuple[Tensor, Tensor, Tensor]:
    """Columns of a first layer: main input, language, and what follows (action or image)."""
    return weight[..., :x], weight[..., x : x + language], weight[..., x + language :]


def _copy(target: Tensor | None, source: Tensor) -> None:
    if target is None:
        if source.numel():
            raise RuntimeError(f"{source.shape[-1]} unexpected input columns")
    elif target.shape != source.shape:
        raise RuntimeError(f"{list(source.shape)} where {list(target.shape)} is expected")
    else:
        target.copy_(source)


def _fill_mlp(net: MLP, state: State, prefix: str, x: int, language: int) -> None:
    first = _split_first(state[f"{prefix}.0.weight"], x, language)
    for target, source in zip(
        (net.weight_x, net.weight_language, net.weight_extra), first, strict=True
    ):
        _copy(target, source)
    _copy(net.bias, state[f"{prefix}.0.bias"])
    for i, linear in enumerate(net.linears, start=1):
        _copy(linear.get_parameter("weight"), state[f"{prefix}.{i}.weight"])
        _copy(linear.get_parameter("bias"), state[f"{prefix}.{i}.bias"])
    for i, norm in enumerate(net.norms):
        _copy(norm.get_parameter("weight"), state[f"{prefix}.{i}.ln.weight"])
        _copy(norm.get_parameter("bias"), state[f"{prefix}.{i}.ln.bias"])


def _fill_ensemble(net: MLPEnsemble, state: State, prefix: str, x: int, language: int) -> None:
    def heads(name: str) -> Tensor:
        return torch.stack([state[f"{prefix}.{head}.{name}"] for head in range(net.num)])

    first = _split_first(heads("0.weight"), x, language)
    for target, source in zip(
        (net.weight_x, net.weight_language, net.weight_extra), first, strict=True
    ):
        _copy(target, source)
    for target, name in (
        (net.bias, "0.bias"),
        (net.norm1_weight, "0.ln.weight"),
        (net.norm1_bias, "0.ln.bias"),
        (net.weight2, "1.weight"),
        (net.bias2, "1.bias"),
        (net.norm2_weight, "1.ln.weight"),
        (net.norm2_bias, "1.ln.bias"),
        (net.weight3, "2.weight"),
        (net.bias3, "2.bias"),
    ):
        _copy(target, heads(name))
