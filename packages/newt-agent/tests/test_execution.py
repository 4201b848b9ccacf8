"""Updates and plans give the same numbers whichever way they are run."""

import dataclasses
from functools import partial

import pytest
import torch
from batches import noise_batch
from tiny import TINY
from waiting import WaitsForNothing

from mmbench import catalog
from mmbench.runs import RunError, publish_folder
from newt_agent.agent import Agent
from newt_agent.execution import Graphs, resolve_execution
from newt_agent.learner import Learner, OptimizerConfig
from newt_agent.losses import LossConfig, update_noise
from newt_agent.newt import Newt
from newt_agent.planner import PlannerConfig
from newt_agent.planning_agent import PlanningAgent

TASKS = catalog.select("walker-walk,pygame-pong")
PLANNER = PlannerConfig(num_samples=32, num_elites=8, num_pi_trajs=8, iterations=2, horizon=2)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.fixture(autouse=True)
def exact_products():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def make_agent(device="cpu") -> PlanningAgent:
    g = torch.Generator().manual_seed(0)
    agent = PlanningAgent.create(TASKS, "XS", "minilm", PLANNER, g, device)
    with torch.no_grad():  # fresh heads are all 0
        for parameter in agent.model.parameters():
            parameter.add_((0.05 * torch.randn(parameter.shape, generator=g)).to(device))
    return agent


def batch(seed, device="cpu"):
    whole = noise_batch(2, seed=seed)
    moved = {name: t.to(device) for name, t in whole._asdict().items() if t is not None}
    return whole._replace(**moved)


def plans(agent, precision="float32", prior_weight=0.0):
    """Actions and memories of a few steps."""
    g = torch.Generator(agent.device).manual_seed(1)
    obs = torch.randn(5, 128, generator=torch.Generator().manual_seed(2)).to(agent.device)
    task = torch.tensor([0, 1, 0, 1, 0], device=agent.device)
    agent.prior_weight, agent.memory, results = prior_weight, None, []
    for step in range(6):
        first = torch.full((5,), step == 0, device=agent.device)
        action = agent.act_on(obs, task, first, True, g)
        results += [torch.from_numpy(action), agent.memory.cpu().clone()]
    return results


def updates(learner, device="cpu"):
    """Metrics of a few updates, and the weights after them."""
    g = torch.Generator(device).manual_seed(3)
    numbers = []
    for seed in range(6):
        learner.set_progress(0.1 * seed)
        metrics = learner.update(batch(seed, device), g)
        numbers.append(torch.stack(list(metrics.values())).cpu())
    for seed in range(5):
        metrics = learner.pretrain(batch(seed, device), g)
        numbers.append(torch.stack(list(metrics.values())).cpu())
    return numbers + [p.detach().cpu() for p in learner.model.parameters()]


def assert_close(ours, expected, atol=1e-5):
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=atol)


def learner_of(agent, execution="eager"):
    settings = dataclasses.replace(OptimizerConfig(), anneal=1.0)
    return Learner(agent, LossConfig(bc_coef=1.0), settings, execution)


def test_updates_and_plans_compile_without_a_break(monkeypatch):
    # Without a back end: what is compiled is one graph, or this raises.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    compiled = make_agent()
    compiled.run_by("compile")
    assert_close(plans(compiled, prior_weight=0.5), plans(make_agent(), prior_weight=0.5))
    assert_close(updates(learner_of(make_agent(), "compile")), updates(learner_of(make_agent())))


def test_targets_of_values_are_of_the_target_network_in_compiled_updates_too(monkeypatch):
    # A compiled function that is copied with its network would still call the online one.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    learner = learner_of(make_agent(), "compile")
    model, windows = learner.model, batch(0)
    noise = update_noise(model, windows).draw(torch.Generator().manual_seed(0))

    def target():
        return learner._model_loss(windows, noise)[1]["td_target"].item()

    before = target()
    with torch.no_grad():
        model.q_net.bias3.add_(torch.linspace(0, 5, model.config.num_bins))
        assert target() == before
        model.target_q_net.bias3.add_(torch.linspace(0, 5, model.config.num_bins))
    assert target() > before


def test_plans_wait_for_nothing():
    agent, obs = make_agent(), torch.zeros(2, 128)
    task, first = torch.tensor([0, 1]), torch.tensor([True, False])
    noise, memory = agent.planner.noise(2).draw(None), agent.planner.initial(2)
    with WaitsForNothing():
        agent.plan_by(obs, task, first, memory, torch.tensor(0.5), noise, explore=True)


def test_plans_in_bfloat16_are_nearly_those_in_float32():
    agent = make_agent()
    exact = plans(agent)
    agent.run_by("eager", "bfloat16")
    rough = plans(agent)
    assert rough[0].dtype == torch.float32
    # The first plans start from the same memory; 2 is the width of all actions.
    gap = (rough[1] - exact[1]).abs()
    assert 0 < gap.mean() < 0.1


def test_ways_to_run_that_are_not_here(monkeypatch):
    cpu = torch.device("cpu")
    assert resolve_execution("auto", cpu) == "eager"
    assert resolve_execution("auto", torch.device("cuda")) == "graph"
    with pytest.raises(RunError, match="execution=graph: only a GPU"):
        resolve_execution("graph", cpu)
    with pytest.raises(RunError, match="execution=graph"):  # before anything is built
        Newt.check(dataclasses.replace(TINY, execution="graph"), TASKS, "cpu")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunError, match=r"execution=compile: .* C\+\+ compiler, and none is here"):
        resolve_execution("compile", cpu)


# On a GPU


@needs_gpu
def test_a_recorded_function_changes_what_it_changes_each_time():
    total = torch.zeros(3, device="cuda")
    function = Graphs(lambda pair: (total.add_(pair[0]), pair[0] * 2, pair[1]))
    one = torch.ones(3, device="cuda")
    for count in range(1, 8):
        _, twice, none = function((one * count, None))
        assert none is None and (twice == 2 * count).all()
    assert (total == 28).all()
    assert function((torch.ones(5, 3, device="cuda")[:, :1].sum(0), None))[1].shape == (1,)


@needs_gpu
def test_graphs_give_what_is_written():
    graph = make_agent("cuda")
    graph.run_by("graph")
    for weight in (0.0, 0.5):
        written = plans(make_agent("cuda"), prior_weight=weight)
        assert_close(plans(graph, prior_weight=weight), written)
    ours = updates(learner_of(make_agent("cuda"), "graph"), "cuda")
    assert_close(ours, updates(learner_of(make_agent("cuda")), "cuda"))


@needs_gpu
def test_an_agent_on_a_gpu_is_saved_and_loaded_anywhere(tmp_path):
    agent = make_agent("cuda")
    updates(learner_of(agent, "graph"), "cuda")
    publish_folder(tmp_path / "agent", agent.save)
    for device in ("cpu", "cuda"):
        again = Agent.load(tmp_path / "agent", device)
        for name, value in agent.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name].cpu(), value.cpu())
