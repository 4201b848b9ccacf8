"""Checkpoints of the published implementation, from their file to finetuning.

The files are of the published layout and of the published sizes. Every tensor is one random number
seen as many, so that they are small.
"""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import torch

from mmbench import catalog
from mmbench.catalog import action_mask
from mmbench.language import cache
from mmbench.runs import RunError, RunFolder
from newt_agent import vision
from newt_agent.agent import Agent
from newt_agent.cli import parse_training, train_main
from newt_agent.cli_eval import eval_main
from newt_agent.cli_import import import_agent, import_main
from newt_agent.display import Display
from newt_agent.evaluate import make_environments
from newt_agent.newt import Newt
from newt_agent.planner import PlannerConfig
from newt_agent.train import Trainer

SIZES = {  # hidden of the encoder, hidden of the others, latent, layers of the encoder, heads
    "S": (128, 256, 384, 2, 3),
    "B": (256, 512, 512, 2, 5),
    "L": (1024, 1024, 512, 3, 5),
    "XL": (2048, 2048, 704, 4, 7),
}
PARAMETERS = {"S": 2_143_284, "B": 7_261_566, "L": 20_356_734, "XL": 81_591_240}
"""With language and without images, as published."""
TASKS = ("pygame-landing", "walker-walk")
LANGUAGE, IMAGE, BINS = 512, 768, 101
SMALL = (
    "--steps 60 --seed-steps 40 --batch-size 4 --utd 0.1 --replay-capacity 1000 --demos none "
    "--num-workers 0 --eval-episodes 1 --no-plan --no-plan-in-eval --threads 1"
)


def published_file(path, size, names=TASKS, language=LANGUAGE, image=0):
    """Writes a checkpoint as the published implementation does."""
    enc, mlp, latent, enc_layers, heads = SIZES[size]
    g = torch.Generator().manual_seed(0)
    masks = torch.from_numpy(np.stack([action_mask(catalog.get(name)) for name in names])).float()
    state = {"_action_masks": masks}
    state |= {"log_std_min": torch.tensor(-10), "log_std_dif": torch.tensor(12)}
    if language:
        state["_task_emb.weight"] = torch.randn(len(names), language, generator=g)

    def number(*shape):
        return (0.1 * torch.randn(1, generator=g)).expand(*shape)

    def net(prefix, sizes, norm_last=False):
        for i, (n, m) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            state[f"{prefix}.{i}.weight"], state[f"{prefix}.{i}.bias"] = number(m, n), number(m)
            if norm_last or i < len(sizes) - 2:
                state[f"{prefix}.{i}.ln.weight"] = number(m)
                state[f"{prefix}.{i}.ln.bias"] = number(m)

    net("_encoder.state", [128 + language + image, *[enc] * (enc_layers - 1), latent], True)
    net("_dynamics", [latent + language + 16, mlp, mlp, latent], True)
    net("_reward", [latent + language + 16, mlp, mlp, BINS])
    net("_pi", [latent + language, mlp, mlp, 32])
    for kind in ("online", "target"):
        for head in range(heads):
            net(f"_Qs.{kind}._Qs.{head}", [latent + language + 16, mlp, mlp, BINS])
    torch.save({"model": state}, path)
    return path


@pytest.mark.parametrize(
    ("size", "image"),
    [
        *((size, 0) for size in SIZES),
        *((size, IMAGE) for size in ("S", "B", "L")),
        pytest.param("XL", IMAGE, marks=pytest.mark.slow),
    ],
)
def test_all_sizes_with_and_without_images(size, image, tmp_path):
    path = published_file(tmp_path / "newt.pt", size, image=image)
    agent = import_agent(path, catalog.select(",".join(TASKS)))
    assert (agent.size, agent.encoder, agent.language_dim) == (size, "clip", LANGUAGE)
    assert agent.model.config.image_dim == image
    more = image * SIZES[size][0]  # of the encoder's first layer
    assert agent.model.num_parameters == PARAMETERS[size] + more
    assert agent.planner.config == PlannerConfig()
    assert agent.model.observation_mask.sum(1).tolist() == [
        catalog.get(name).obs_dim for name in TASKS
    ]


def import_file(tmp_path, image=0):
    """Imports a file of size S by the command; returns the agent's folder."""
    path = published_file(tmp_path / "newt-S.pt", "S", image=image)
    out = tmp_path / "imported"
    import_main(["--file", str(path), "--tasks", ",".join(TASKS), "--out", str(out)])
    return out


@pytest.fixture
def imported(tmp_path, capsys):
    out = import_file(tmp_path)
    assert f"2 tasks, size S, in {out}" in capsys.readouterr().out
    return out


class Looks(torch.nn.Module):
    """Takes the place of DINOv2: 768 features of a frame, at once."""

    def forward(self, frames):
        return frames.mean((2, 3)).repeat(1, IMAGE // 3)


@pytest.fixture
def fast_sight(monkeypatch):
    monkeypatch.setattr(vision, "load_dinov2", lambda device: Looks())
    monkeypatch.setattr("newt_agent.model_based.find_dinov2", lambda: None)


def test_it_is_evaluated_and_plans(imported, tmp_path, capsys):
    target = tmp_path / "result.json"
    common = f"--checkpoint {imported} --tasks pygame-landing --num-workers 0 --threads 1"
    eval_main([*common.split(), *f"--episodes 1 --no-plan --json {target}".split()])
    assert json.loads(target.read_text())["tasks"]["pygame-landing"]["episodes"] == 1
    eval_main([*common.split(), *"--episodes 1 --open-loop 2".split()])
    assert "planned at once" in capsys.readouterr().out


def test_one_with_images_sees_states_and_frames(tmp_path, fast_sight, monkeypatch):
    imported = import_file(tmp_path, IMAGE)
    assert Agent.load(imported).obs == "state+rgb"
    made = []

    def making(**settings):
        made.append(settings["obs"])
        return make_environments(**settings)

    monkeypatch.setattr("newt_agent.evaluate.make_environments", making)
    target, common = tmp_path / "result.json", "--num-workers 0 --threads 1 --no-plan"
    words = f"--checkpoint {imported} --tasks pygame-landing --episodes 1 --json {target} {common}"
    eval_main(words.split())
    assert made == ["state+rgb"]
    assert json.loads(target.read_text())["tasks"]["pygame-landing"]["episodes"] == 1
    monkeypatch.setattr("newt_agent.train.evaluate", lambda *args, **kwargs: [])
    before, folder = Agent.load(imported), RunFolder.create(tmp_path / "tuned", "test")
    words = f"--checkpoint {imported} --tasks pygame-landing {SMALL} --device cpu"
    _, config = parse_training(Newt, "newt-train", words.split())
    config = dataclasses.replace(config, seed_steps=4, utd=0.5)
    with contextlib.closing(Trainer(Newt, config, folder, "cpu", Display())) as trainer:
        for _ in range(8):
            trainer._take_step()
            trainer._learn()
        assert trainer.method.updates > 0
        after = trainer.agent
        assert (after.size, after.obs) == ("S", "state+rgb")
        bias = after.model.reward_net.linears[-1].bias
        assert not torch.equal(bias, before.model.reward_net.linears[-1].bias)


def test_it_is_finetuned_to_tasks_of_its_own_and_to_new_ones(imported, tmp_path, monkeypatch):
    new = catalog.get("pygame-point-maze-var4")
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    cache.write("clip", new.instruction, np.ones(LANGUAGE, np.float32))
    out = tmp_path / "tuned"
    train_main(
        [
            *("--checkpoint", str(imported), "--tasks", f"pygame-landing,{new.name}"),
            *("--out", str(out), *SMALL.split()),
        ]
    )
    before, after = Agent.load(imported), Agent.load(out)
    assert [task.name for task in after.tasks] == [*TASKS, new.name]
    assert (after.size, after.encoder) == ("S", "clip")
    rewards = [agent.model.reward_net.linears[-1].bias for agent in (before, after)]
    assert not torch.equal(*rewards)
    assert torch.equal(after.model.task_embeddings[:2], before.model.task_embeddings)


def test_without_language_it_knows_its_own_tasks(tmp_path):
    path = published_file(tmp_path / "single.pt", "B", ["walker-walk"], language=0)
    agent = import_agent(path, catalog.select("walker-walk"))
    assert (agent.size, agent.encoder, agent.model.num_parameters) == ("B", "none", 5_033_342)
    with pytest.raises(RunError, match="was not trained on pygame-landing"):
        agent.add_tasks(catalog.select("pygame-landing"))


@pytest.mark.parametrize(
    ("tasks", "language", "message"),
    [
        ("walker-walk,pygame-landing", LANGUAGE, "row 0 has .* walker-walk has 6; give the tasks"),
        ("walker-walk", LANGUAGE, "a table of 2 tasks, not of 1; --tasks says"),
        (",".join(TASKS), 384, "384 entries, and the published encoder, clip, gives 512"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path, tasks, language, message):
    path = published_file(tmp_path / "newt.pt", "S", language=language)
    with pytest.raises(RunError, match=message):
        import_agent(path, catalog.select(tasks))


@pytest.mark.parametrize(("name", "message"), [("nothing.pt", "no such file"), ("", "is no file")])
def test_no_file_is_one_sentence(tmp_path, capsys, name, message):
    with pytest.raises(SystemExit) as end:
        import_main(["--file", str(tmp_path / name), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert end.value.code == 2 and message in told and "Traceback" not in told
    assert "--tasks" not in told  # which is not what is wrong
    assert not (tmp_path / "out").exists()
