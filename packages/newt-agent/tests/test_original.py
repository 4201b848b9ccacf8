import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from newt_agent.losses import Batch, LossConfig, update_noise, world_model_loss
from newt_agent.original import import_original

OBS, ACTION, LANGUAGE, LATENT, HEADS, BINS, TASKS = 128, 5, 6, 16, 3, 11, 4
ENC, MLP, ENC_LAYERS = 12, 20, 3


def published_state(language=LANGUAGE, image=0, seed=0):
    """A state dict as the published implementation writes it, with random weights."""
    g = torch.Generator().manual_seed(seed)
    state = {}

    def mlp(prefix, sizes, norm_last):
        for i, (n, m) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            state[f"{prefix}.{i}.weight"] = torch.randn(m, n, generator=g) / n**0.5
            state[f"{prefix}.{i}.bias"] = 0.3 * torch.randn(m, generator=g)
            if norm_last or i < len(sizes) - 2:
                state[f"{prefix}.{i}.ln.weight"] = 1 + 0.3 * torch.randn(m, generator=g)
                state[f"{prefix}.{i}.ln.bias"] = 0.3 * torch.randn(m, generator=g)

    state["_action_masks"] = (torch.arange(ACTION) < torch.tensor([[5], [2], [1], [3]])).float()
    state["log_std_min"] = torch.tensor(-8)
    state["log_std_dif"] = torch.tensor(9.0)
    if language:
        state["_task_emb.weight"] = torch.randn(TASKS, language, generator=g)
    mlp("_encoder.state", [OBS + language + image, ENC, ENC, LATENT], True)
    mlp("_dynamics", [LATENT + language + ACTION, MLP, MLP, LATENT], True)
    mlp("_reward", [LATENT + language + ACTION, MLP, MLP, BINS], False)
    mlp("_pi", [LATENT + language, MLP, MLP, 2 * ACTION], False)
    for net in ("online", "target"):
        for head in range(HEADS):
            sizes = [LATENT + language + ACTION, MLP, MLP, BINS]
            mlp(f"_Qs.{net}._Qs.{head}", sizes, False)
    return state


def forward(state, prefix, *inputs, simnorm=False):
    """The published form of a network: concatenated inputs, one layer after the other."""
    x, i = torch.cat(inputs, dim=-1), 0
    while f"{prefix}.{i}.weight" in state:
        x = F.linear(x, state[f"{prefix}.{i}.weight"], state[f"{prefix}.{i}.bias"])
        if f"{prefix}.{i}.ln.weight" in state:
            ln = state[f"{prefix}.{i}.ln.weight"], state[f"{prefix}.{i}.ln.bias"]
            x = F.layer_norm(x, x.shape[-1:], *ln)
            last = f"{prefix}.{i + 1}.weight" not in state
            x = x if last else F.mish(x)
        i += 1
    return x.unflatten(-1, (-1, 8)).softmax(-1).flatten(-2) if simnorm else x


@pytest.mark.parametrize("language, image", [(LANGUAGE, 0), (0, 0), (LANGUAGE, 7)])
def test_imports_a_checkpoint_of_the_published_format(tmp_path, language, image):
    state = published_state(language, image)
    path = tmp_path / "tiny.pt"
    torch.save({"model": state}, path)
    model, names = import_original(path)
    assert names == ["task-0", "task-1", "task-2", "task-3"]
    config = model.config
    assert (config.enc_dim, config.mlp_dim, config.latent_dim) == (ENC, MLP, LATENT)
    assert (config.num_enc_layers, config.num_q, config.num_bins) == (ENC_LAYERS, HEADS, BINS)
    assert (config.obs_dim, config.action_dim, config.image_dim) == (OBS, ACTION, image)
    assert (config.log_std_min, config.log_std_max) == (-8, 1)

    g = torch.Generator().manual_seed(1)
    task = torch.tensor([0, 1, 2, 3, 1, 0])
    context = model.context(task)
    obs, features = torch.randn(6, OBS, generator=g), torch.randn(6, image, generator=g)
    mask = state["_action_masks"][task]
    action = (torch.rand(6, ACTION, generator=g) * 2 - 1) * mask
    emb = state["_task_emb.weight"][task] if language else torch.zeros(6, 0)

    z = forward(state, "_encoder.state", obs, emb, features, simnorm=True)
    torch.testing.assert_close(model.encode(obs, context, features if image else None), z)
    torch.testing.assert_close(
        model.next(z, action, context), forward(state, "_dynamics", z, emb, action, simnorm=True)
    )
    torch.testing.assert_close(
        model.reward(z, action, context), forward(state, "_reward", z, emb, action)
    )
    for net in ("online", "target"):
        expected = [forward(state, f"_Qs.{net}._Qs.{i}", z, emb, action) for i in range(HEADS)]
        torch.testing.assert_close(
            model.Q(z, action, context, target=net == "target"), torch.stack(expected)
        )
    mean, raw = forward(state, "_pi", z, emb).chunk(2, -1)
    ours = model.pi(z, context)
    torch.testing.assert_close(ours[0], torch.tanh(mean) * mask)
    torch.testing.assert_close(ours[1], (-8 + 4.5 * (torch.tanh(raw) + 1)) * mask)
    assert all(not p.requires_grad for p in model.target_q_net.parameters())
    assert all(p.requires_grad for p in model.q_net.parameters())


def test_names_fit_the_table(tmp_path):
    torch.save({"model": published_state()}, tmp_path / "a.pt")
    assert import_original(tmp_path / "a.pt", ("a", "b", "c", "d"))[1] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="4 tasks, but 2 names"):
        import_original(tmp_path / "a.pt", ["a", "b"])


class Malicious:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


def broken(state, key=None, value=None):
    if value is None:
        del state[key]
    else:
        state[key] = value
    return {"model": state}


@pytest.mark.parametrize(
    "content, match",
    [
        ([1, 2], "no entry 'model'"),
        ({"model": 3}, "no entry 'model'"),
        ({"policy": {}}, "no entry 'model'"),
        ({"model": {"weight": torch.zeros(2)}}, "lacks _action_masks, _encoder.state.0.weight"),
        (broken(published_state(), "_pi.0.weight"), "lacks _pi.0.weight"),
        (broken(published_state(), "_pi.1.ln.bias"), "_pi.1.ln.bias' is missing"),
        (broken(published_state(), "_Qs.target._Qs.2.1.bias"), "_Qs.target._Qs.2.1.bias' is m"),
        (broken(published_state(), "_pi.1.weight", torch.zeros(3, 3)), "shapes do not fit"),
        (broken(published_state(), "_action_masks", torch.zeros(3)), "shapes do not fit"),
        (broken(published_state(), "log_std_min", torch.zeros(3)), "shapes do not fit"),
        (broken(published_state(), 5, torch.zeros(3)), "shapes do not fit"),
        ({"model": Malicious()}, "holds posix.mkdir besides tensors"),
        (torch.nn.Linear(2, 2), "holds torch.nn.modules.linear.Linear besides tensors"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_says_what_is_wrong_with_a_file(tmp_path, monkeypatch, content, match):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "foreign.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=match) as error:
        import_original(path)
    assert "foreign.pt" in str(error.value)
    assert "newt_agent.Agent.load" in str(error.value)  # the way out
    assert "weights_only" not in str(error.value)  # PyTorch's advice, to run what the file holds
    assert not Path("executed").exists()


def files_that_torch_cannot_read(folder):
    """Contents of files, by what they are."""
    path = folder / "written.pt"
    yield "empty", b""
    yield "text", b"not a checkpoint"
    yield "pickle", pickle.dumps({"model": Malicious()})
    for new in (True, False):
        torch.save({"model": published_state()}, path, _use_new_zipfile_serialization=new)
        yield f"cut, {new=}", path.read_bytes()[:-1000]
        torch.save({"model": Malicious()}, path, _use_new_zipfile_serialization=new)
        yield f"malicious, {new=}", path.read_bytes()
    with tarfile.open(path, "w"):
        pass
    yield "tar", path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("code/__torch__.py", "")
        archive.writestr("archive/constants.pkl", "")
    yield "TorchScript", path.read_bytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_that_torch_cannot_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, content in files_that_torch_cannot_read(tmp_path):
        path = tmp_path / "foreign.pt"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot read .*foreign.pt: it ") as error:
            import_original(path)
        assert "weights_only" not in str(error.value), kind
        assert not Path("executed").exists(), kind
    with pytest.raises(FileNotFoundError, match="missing.pt"):
        import_original(tmp_path / "missing.pt")


def test_tensors_that_are_not_finite_are_named(tmp_path):
    state = published_state()
    state["_pi.1.bias"][3] = float("nan")
    torch.save({"model": state}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: the tensor '_pi.1.bias' holds nan"):
        import_original(tmp_path / "a.pt")


def test_matches_what_the_published_implementation_computes():
    root = os.environ.get("MMBENCH_REFERENCE")
    if not root:
        pytest.skip("MMBENCH_REFERENCE, the folder of the recorded data, is not set")
    model, names = import_original(Path(root) / "agent" / "newt-S.pt")
    assert len(names) == 200 and model.num_parameters == 2_143_284
    with np.load(Path(root) / "agent" / "newt-S.npz") as data:
        data = {name: torch.from_numpy(array) for name, array in data.items()}
    task, action, reward = data["task"], data["action"], data["reward"].squeeze(-1)
    context = model.context(task)
    z = model.encode(data["obs"][0], context)
    logits = model.reward(z, action[0], context)
    ours = {
        "z": z,
        "next_z": model.next(z, action[0], context),
        "reward_logits": logits,
        "reward_decoded": model.decode(logits)[:, None],
        "q_logits": model.Q(z, action[0], context),
        "target_q_logits": model.Q(z, action[0], context, target=True),
        "pi_mean": model.pi(z, context)[0],
        "pi_log_std": model.pi(z, context)[1],
    }
    batch = Batch(data["obs"], action, reward, task)
    discount, g = torch.full((200,), 0.99), torch.Generator().manual_seed(0)
    _, metrics, _ = world_model_loss(
        model, batch, discount, LossConfig(), update_noise(model, batch).draw(g)
    )
    for name in ("consistency_loss", "reward_loss"):
        ours[name] = metrics[name]
    for name, value in ours.items():
        torch.testing.assert_close(value, data[name], rtol=1e-5, atol=1e-5, msg=name)
