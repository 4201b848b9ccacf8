"""What an agent sees of frames, what it learns from them, and how it comes to see."""

import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from no_evaluation import evaluate_nothing
from stopping import run_until
from tiny import TINY

from mmbench import catalog
from mmbench.env import TaskEnv
from mmbench.runs import RunError, publish_folder
from newt_agent import vision
from newt_agent.agent import Agent, TaskInfo
from newt_agent.cli import parse_training
from newt_agent.evaluate import evaluate, make_environments, obs_to_evaluate
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import Batch, LossConfig
from newt_agent.newt import Newt
from newt_agent.planning_agent import PlanningAgent
from newt_agent.replay import Replay, bytes_per_row
from newt_agent.vision import IMAGE_FORMATS, SeenEnvironments, Sight, find_dinov2, fit_positions

CPU = torch.device("cpu")
TASK = "pygame-cartpole-balance"
SEEING = dataclasses.replace(
    TINY,
    tasks=TASK,
    obs="state+rgb",
    vision="cnn",
    steps=120,
    seed_steps=40,
    utd=0.1,
    checkpoint_every=50,
    replay_capacity=400,
)


def agent_that(sees: str, by: str, size: str = "XS") -> PlanningAgent:
    generator = torch.Generator().manual_seed(0)
    tasks = catalog.select(TASK)
    return PlanningAgent.create(tasks, size, "minilm", TINY.planner, generator, obs=sees, vision=by)


@pytest.fixture
def tiny_vit(monkeypatch):
    """Takes the place of DINOv2: as many features, random weights."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    sizes = {"patch_size": 56, "embed_dim": 768, "depth": 1, "num_heads": 4, "mlp_ratio": 0.1}
    model = timm.models.VisionTransformer(img_size=224, num_classes=0, **sizes).eval()
    monkeypatch.setattr(vision, "load_dinov2", lambda device: model)
    monkeypatch.setattr("newt_agent.model_based.find_dinov2", lambda: None)
    return model


@pytest.fixture
def no_episodes(monkeypatch):
    """Evaluations that take no time."""
    monkeypatch.setattr("newt_agent.train.evaluate", evaluate_nothing)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Real ones, [4, 224, 224, 3]."""
    env = TaskEnv(catalog.get(TASK), obs="rgb")
    shown = [env.reset(seed=0)[0]]
    for action in (1.0, 1.0, -1.0):
        for _ in range(5):
            obs, *_ = env.step(np.full(16, action, np.float32))
        shown.append(obs)
    env.close()
    return np.stack(shown)


# Frames become rows


def test_the_cnn_sees_means_of_4_by_4_pixels_in_channels(frames):
    rows = Sight("rgb", "cnn")(frames, CPU)
    means = frames.reshape(4, 56, 4, 56, 4, 3).astype(float).mean((2, 4))
    expected = means.transpose(0, 3, 1, 2).reshape(4, -1)
    assert not rows[:, :128].any()
    assert np.abs(rows[:, 128:] - expected).max() <= 0.5 + 1e-4
    assert (rows[:, 128:] == rows[:, 128:].astype(np.uint8)).all()
    assert (rows[0] != rows[1]).any()


def test_dinov2_sees_normalised_frames_and_its_features_survive_the_replay(frames, tiny_vit):
    mean, std = (np.array(x) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = tiny_vit(torch.from_numpy((frames / 255 - mean) / std).permute(0, 3, 1, 2).float())
    rows = Sight("rgb", "dinov2")(frames, CPU)
    np.testing.assert_allclose(rows[:, 128:], expected.detach(), atol=1e-2)
    assert (rows == rows.astype(np.float16)).all()


def test_many_frames_are_looked_at_in_parts(frames, monkeypatch):
    whole = Sight("rgb", "cnn")(frames, CPU)
    monkeypatch.setattr(vision, "AT_ONCE", 3)
    np.testing.assert_array_equal(Sight("rgb", "cnn")(frames, CPU), whole)


def test_the_state_is_there_only_where_the_agent_sees_it(frames):
    state = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    rows = Sight("state+rgb", "cnn")({"state": state, "rgb": frames}, CPU)
    np.testing.assert_array_equal(rows[:, :128], state)
    np.testing.assert_array_equal(rows[:, 128:], Sight("rgb", "cnn")(frames, CPU)[:, 128:])
    with pytest.raises(ValueError, match=r"obs=state\+rgb: not what"):
        Sight("state+rgb", "cnn")(frames, CPU)
    with pytest.raises(ValueError, match=r"frames of shape \(4, 224, 3, 224\)"):
        Sight("rgb", "cnn")(frames.swapaxes(2, 3), CPU)


def test_last_frames_of_episodes_are_seen_too(frames):
    ended = np.array([False, True, False, True])
    last = np.full(4, None, object)
    for i in np.flatnonzero(ended):
        last[i] = frames[3 - i]
    infos = {"final_obs": last, "_final_obs": ended}
    env = SimpleNamespace(step=lambda _: (frames, np.zeros(4), ended, ended, infos), num_envs=4)
    seen = SeenEnvironments(env, Sight("rgb", "cnn"), CPU)
    rows, *_, infos = seen.step(np.zeros((4, 16)))
    np.testing.assert_array_equal(rows, Sight("rgb", "cnn")(frames, CPU))
    for i in range(4):
        if ended[i]:
            np.testing.assert_array_equal(infos["final_obs"][i], rows[3 - i])
        else:
            assert infos["final_obs"][i] is None
    assert seen.num_envs == 4


# DINOv2


def test_features_are_those_of_the_published_encoder():
    """With the weights of transformers' Dinov2Model, of a small size, made for larger images."""
    timm = pytest.importorskip("timm")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=518, patch_size=14
    )
    published = transformers.Dinov2Model(config).eval()
    with torch.no_grad():
        for parameter in published.parameters():
            parameter.normal_(std=0.3)
    sizes = {"patch_size": 14, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 0}
    ours = timm.models.VisionTransformer(img_size=224, init_values=1e-5, **sizes).eval()
    ours.load_state_dict(fit_positions(in_names_of_timm(published.state_dict()), ours))
    frames = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = published(pixel_values=frames).last_hidden_state[:, 0]
        torch.testing.assert_close(ours(frames), expected, rtol=1e-4, atol=1e-4)


def in_names_of_timm(state):
    names = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "encoder.layer": "blocks",
        "attention.o_proj": "attn.proj",
        "layer_scale1.lambda1": "ls1.gamma",
        "layer_scale2.lambda1": "ls2.gamma",
        "layernorm": "norm",
    }
    parts = {}
    for name, tensor in state.items():
        if name.endswith("mask_token") or any(f".{one}_proj." in name for one in "qkv"):
            continue
        for theirs, own in names.items():
            name = name.replace(theirs, own)
        parts[name] = tensor
    for block in range(2):
        for kind in ("weight", "bias"):
            start = f"encoder.layer.{block}.attention."
            three = [state[f"{start}{one}_proj.{kind}"] for one in "qkv"]
            parts[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(three)
    return parts


def test_weights_that_are_not_here_are_never_fetched_and_the_way_is_told(tmp_path, monkeypatch):
    pytest.importorskip("timm")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    config = dataclasses.replace(TINY, obs="rgb", demos="none")
    with pytest.raises(
        RunError, match=r"hf download timm/vit_base_patch14_dinov2\S+ model"
    ) as told:
        Newt.check(config, catalog.select(TASK), "cpu")
    assert "--vision cnn" in str(told.value)
    assert not list(tmp_path.iterdir())
    folder = tmp_path / "models--timm--vit_base_patch14_dinov2.lvd142m"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    path = folder / "snapshots" / "abc" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_dinov2() == path


def test_without_timm_the_way_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RunError, match=r"needs the extra `vision`.*newt-agent\[vision\].*--vision"):
        find_dinov2()


# The replay


@pytest.mark.parametrize("kind", ["cnn", "dinov2"])
def test_the_replay_holds_images_as_small_as_they_are(kind):
    image = IMAGE_FORMATS[kind]
    replay = Replay(40, 2, 3, torch.arange(2), image=image)
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (20, 2, 128 + image.entries)).astype(np.float32)
    replay.start(torch.from_numpy(shown[0]), np.ones(2, bool))
    for obs in shown[1:]:
        replay.add(torch.from_numpy(obs), torch.zeros(2, 16), torch.zeros(2))
    batch = replay.sample(50, rng)
    assert batch.image.shape == (4, 50, image.entries) and batch.image.dtype == image.dtype
    by_state = {tuple(row[:128]): row[128:] for row in shown.reshape(40, -1)}
    for state, seen in zip(batch.obs.flatten(0, 1), batch.image.flatten(0, 1), strict=True):
        np.testing.assert_array_equal(by_state[tuple(state.numpy())], seen.float())
    assert replay.row_bytes == bytes_per_row(image_bytes=image.bytes) == 584 + image.bytes
    other = Replay(40, 2, 3, torch.arange(2), image=image)
    other.put_rows(*replay.held, replay.rows(*replay.held))
    other.load_state_dict(replay.state_dict())
    seeds = (np.random.default_rng(1) for _ in range(2))
    a, b = (one.sample(9, rng) for one, rng in zip((replay, other), seeds, strict=True))
    assert torch.equal(a.image, b.image)


def test_images_count_in_the_capacity(monkeypatch):
    monkeypatch.setattr("newt_agent.off_policy.memory_bytes", lambda device: 2**30)
    config = dataclasses.replace(SEEING, replay_capacity=None)
    completed = Newt.complete(config, catalog.select(TASK), "cpu")
    assert completed.replay_capacity == 2**28 // (584 + 3 * 56 * 56)


# Learning


@pytest.mark.parametrize("informative", [True, False])
def test_rewards_that_only_the_image_shows_are_learned(informative):
    """The reward is 1 where the image is bright on the left, else 0; states say nothing."""
    agent = agent_that("rgb", "cnn")
    agent.limit_discount(0.01)
    settings = OptimizerConfig(lr=1e-3, encoder_lr_scale=1.0)
    learner = Learner(agent, LossConfig(), settings)
    rng = np.random.default_rng(0)

    def batch(size: int) -> Batch:
        left = rng.integers(0, 2, size)
        image = rng.integers(0, 100, (4, size, 3, 56, 56))
        shown = left if informative else rng.integers(0, 2, size)
        image[:, shown == 1, :, :, :28] += 150
        image[:, shown == 0, :, :, 28:] += 150
        reward = np.broadcast_to(left, (3, size)).astype(np.float32)
        pixels = torch.from_numpy(image.astype(np.uint8)).flatten(2)
        zeros = torch.zeros(size, dtype=torch.long)
        obs, action = torch.zeros(4, size, 128), torch.zeros(3, size, 16)
        return Batch(obs, action, torch.from_numpy(reward.copy()), zeros, pixels)

    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        learner.update(batch(16), generator)
    test, model = batch(64), agent.model
    with torch.no_grad():
        context = model.context(test.task)
        z = model.encode(test.obs[0], context, test.image[0])
        told = model.decode(model.reward(z, test.action[0], context))
    right = ((told > told.mean()) == (test.reward[0] > 0.5)).float().mean()
    assert right > 0.95 if informative else right < 0.8


def test_a_run_that_was_stopped_sees_and_learns_as_one_that_was_not(make_trainer, no_episodes):
    whole = make_trainer("whole", SEEING)
    whole.run()
    stopped = make_trainer("stopped", SEEING)
    run_until(stopped, 70)
    stopped.close()
    resumed = make_trainer("stopped", SEEING, resume=True)
    resumed.run()
    assert resumed.method.updates == 8
    for name, value in whole.agent.model.state_dict().items():
        assert torch.equal(value, resumed.agent.model.state_dict()[name]), name
    first = agent_that("state+rgb", "cnn").model.cnn.layers[0].weight
    assert not torch.equal(whole.agent.model.cnn.layers[0].weight, first)
    held = whole.method.replay.rows(*whole.method.replay.held)
    assert held["image"].dtype == torch.uint8 and held["obs"].any()


def test_frames_alone_are_learned_from_by_the_frozen_encoder(make_trainer, no_episodes, tiny_vit):
    changes = {"obs": "rgb", "vision": "dinov2", "steps": 60, "seed_steps": 20}
    config = dataclasses.replace(SEEING, **changes)
    trainer = make_trainer(config=config)
    trainer.run()
    held = trainer.method.replay.rows(*trainer.method.replay.held)
    assert not held["obs"].any()
    assert held["image"].dtype == torch.float16 and held["image"].std(0).max() > 0
    assert trainer.agent.model.cnn is None
    assert "frames are read by dinov2" in trainer.method.summary()


# Agents


def test_a_loaded_agent_sees_what_the_saved_one_saw(tmp_path, frames):
    agent = agent_that("state+rgb", "cnn")
    publish_folder(tmp_path / "agent", agent.save)
    loaded = Agent.load(tmp_path / "agent")
    assert (loaded.obs, loaded.size) == ("state+rgb", "XS")
    assert loaded.settings["vision"] == "cnn"
    obs = {"state": np.zeros((4, 128), np.float32), "rgb": frames}
    actions = [
        one.act(obs, [TASK] * 4, [True] * 4, generator=torch.Generator().manual_seed(0))
        for one in (agent, loaded)
    ]
    np.testing.assert_array_equal(*actions)
    arguments = ["--checkpoint", str(tmp_path / "agent"), "--tasks", TASK, "--device", "cpu"]
    _, config = parse_training(Newt, "newt-train", arguments)
    assert (config.obs, config.vision, config.size) == ("state+rgb", "cnn", "XS")
    with pytest.raises(ValueError, match=r"obs has to be \(B, 9536\)"):
        loaded.act(np.zeros((4, 128)), [TASK] * 4, [True] * 4)


def test_an_agent_that_sees_acts_in_environments_that_show(frames):
    agent = agent_that("rgb", "cnn")
    agent.plan = False
    action = agent.policy(TASK)(frames[0], True)
    assert action.shape == (16,)
    assert (action != agent.policy(TASK)(frames[1], True)).any()  # it acts by what it sees
    (task,) = catalog.select(TASK)
    short = dataclasses.replace(task, max_episode_steps=6)
    assert obs_to_evaluate(agent, [short]) == "rgb"
    assert obs_to_evaluate(None, [short]) == "state"
    (episode,) = evaluate(agent, [short], 1, 0, num_workers=0)
    assert episode.length == 6
    stateless = dataclasses.replace(task, obs_dim=0)
    assert obs_to_evaluate(None, [stateless]) == "rgb"
    with pytest.raises(RunError, match=r"are images, and the agent sees state\+rgb"):
        obs_to_evaluate(agent_that("state+rgb", "cnn"), [stateless])


def test_a_state_agent_learns_to_see(make_trainer, no_episodes, frames):
    first = make_trainer("states", dataclasses.replace(SEEING, obs="state", vision="dinov2"))
    first.run()
    checkpoint = first.folder.last_checkpoint()
    config = dataclasses.replace(SEEING, checkpoint=str(checkpoint))
    second = make_trainer("frames", config)
    blind, seeing = Agent.load(checkpoint), second.agent
    obs = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    for one in (blind, seeing):
        one.plan = False
    expected = blind.act(obs, [TASK] * 4, [True] * 4)
    # At first it acts as before, whatever it sees.
    for shown in (frames, frames[::-1].copy()):
        actions = seeing.act({"state": obs, "rgb": shown}, [TASK] * 4, [True] * 4)
        np.testing.assert_array_equal(actions, expected)
    second.run()
    assert seeing.model.encoder.weight_extra.any()
    with pytest.raises(RunError, match=r"obs=rgb: .* has state\+rgb; leave --obs out"):
        changed = dataclasses.replace(config, obs="rgb", checkpoint=str(second.folder.path))
        make_trainer("other", changed)


def test_a_published_agent_with_images_sees_as_the_published_code_does(tmp_path):
    model = agent_that("state+rgb", "dinov2").model
    tasks = TaskInfo.of(catalog.select(TASK))
    agent = PlanningAgent(model, tasks, "minilm", TINY.planner)  # as newt-import makes it
    publish_folder(tmp_path / "agent", agent.save)
    for one in (agent, Agent.load(tmp_path / "agent")):
        assert (one.obs, one.sight.vision, one.row_entries) == ("state+rgb", "dinov2", 128 + 768)


def test_demonstrations_hold_no_frames():
    tasks = catalog.select(TASK)
    config = dataclasses.replace(SEEING, demos="auto")
    assert Newt.complete(config, tasks, "cpu").demos == "none"
    with pytest.raises(RunError, match="demos=all: demonstrations hold no frames"):
        Newt.check(dataclasses.replace(config, demos="all"), tasks, "cpu")


def test_environments_show_what_the_run_asks_for():
    env = make_environments(tasks=TASK, obs="rgb", num_workers=0)
    seen = agent_that("rgb", "cnn").seen(env)
    obs, _ = seen.reset(seed=0)
    assert obs.shape == (1, 128 + 3 * 56 * 56)
    assert agent_that("state", "cnn").seen(env) is env
    env.close()
