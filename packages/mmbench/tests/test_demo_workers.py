"""Who does jobs: processes that die, a stand-in for Ray, and Ray itself where it is installed."""

import sys
from importlib.util import find_spec

import pytest
from demo_tapes import TASK
from fake_ray import FakeRay

from mmbench.cli import main
from mmbench.demos.collect import Plan, collect
from mmbench.demos.jobs import Job
from mmbench.demos.places import root_tape
from mmbench.demos.ray_pool import require_ray
from mmbench.demos.workers import TRIES, run_jobs
from mmbench.runs import RunError


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay(cores=2)
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return fake


def square(job):
    if job.number < 0:
        raise ArithmeticError("no square")
    return job.number**2


def jobs(numbers):
    """Gives out jobs, and remembers to whom."""
    left = [Job(TASK, number, square) for number in numbers]
    return lambda loaded: left.pop(0) if left else None


def results(**pool):
    return sorted((done.job.number, done.value) for done in run_jobs(**pool))


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

SQUARES = [(n, n * n) for n in range(10)]


def test_ray_does_the_jobs_and_is_left(ray):
    assert results(next_job=jobs(range(10)), workers=None, engine="ray") == SQUARES
    assert len(ray.actors) == 2 and all(actor.lost for actor in ray.actors) and ray.ended


def test_a_cluster_that_the_caller_has_joined_is_used_and_stays(ray):
    ray.initialized = True
    assert results(next_job=jobs(range(10)), workers=1, engine="ray") == SQUARES
    assert len(ray.actors) == 1 and not ray.ended


def test_without_jobs_no_worker_is_asked_for(ray):
    assert results(next_job=jobs([]), workers=None, engine="ray") == []
    assert not ray.actors and not ray.initialized


def test_jobs_of_lost_machines_are_done_again_and_new_machines_are_used(ray):
    found = []
    for done in run_jobs(jobs(range(10)), None, engine="ray"):
        found.append((done.job.number, done.value))
        if len(found) == 2:
            ray.kill(ray.actors[1])  # with a job, and its core
            ray.cores = 1
        if len(found) == 6:
            assert len(ray.actors) == 2
            ray.cores = 3
    assert sorted(found) == SQUARES and len(ray.actors) == 4


def test_a_cluster_that_has_lost_all_machines_is_waited_for(ray, monkeypatch, capsys):
    waits = []
    monkeypatch.setattr("time.sleep", lambda seconds: waits.append(seconds))
    monkeypatch.setattr("mmbench.demos.ray_pool._PATIENCE_SECONDS", -1.0)
    found = []
    for done in run_jobs(jobs(range(10)), None, engine="ray"):
        found.append((done.job.number, done.value))
        if len(found) == 3:
            for actor in ray.actors:
                ray.kill(actor)
            ray.cores = 0
            monkeypatch.setattr("time.sleep", lambda seconds: setattr(ray, "cores", 1))
    assert sorted(found) == SQUARES
    assert capsys.readouterr().err == "waiting for a core of the Ray cluster\n"


def test_a_job_whose_process_always_dies_is_given_up(ray, monkeypatch):
    tries = []
    get = ray.get

    def dying(answer):
        if answer.words and answer.words[0].number == 3:
            tries.append(answer.actor)
            ray.kill(answer.actor)
        return get(answer)

    monkeypatch.setattr(ray, "get", dying)
    found = {done.job.number: done for done in run_jobs(jobs(range(5)), None, engine="ray")}
    assert len(found) == 5 and len(set(map(id, tries))) == TRIES
    assert found[3].error == "its process on the Ray cluster is gone: The actor died."
    assert found[4].value == 16


def test_a_job_that_raises_is_done_once(ray):
    (done,) = run_jobs(jobs([-1]), None, engine="ray")
    assert done.error.startswith("ArithmeticError: no square") and not done.died


def test_workers_that_cannot_start_are_one_error(ray):
    ray.broken = True
    with pytest.raises(RunError, match="cannot start on the Ray cluster: Lost: The actor died"):
        list(run_jobs(jobs([1]), None, engine="ray"))
    assert ray.ended


def test_a_job_that_takes_too_long_ends_with_its_worker(ray):
    ray.hangs = True
    dones = run_jobs(jobs(range(2)), 1, seconds=0.0, engine="ray")
    assert [(done.late, done.error) for done in dones] == 2 * [(True, "it did not end within 0 s")]
    assert all(actor.lost for actor in ray.actors)


@pytest.mark.parametrize(
    "words, reason",
    [
        ((), "mmbench: --engine ray needs the extra `ray`"),
        (("--workers", "0"), "mmbench: --workers 0: at least 1 with --engine ray"),
    ],
)
def test_ray_that_cannot_be_used_is_one_line(tmp_path, capsys, monkeypatch, words, reason):
    monkeypatch.setitem(sys.modules, "ray", None)  # not installed
    with pytest.raises(SystemExit) as ended:
        main(["demos", "collect", "--engine", "ray", "--root", str(tmp_path), *words])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and err.startswith(reason) and err.count("\n") == 1
    assert words or "pip install 'mmbench[ray]'" in err
    assert not list(tmp_path.iterdir())


@needs_ray
@pytest.mark.slow
def test_a_two_node_cluster_collects_the_same_tape_though_a_node_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # or it writes a token into the home folder
    ray = require_ray()
    from ray.cluster_utils import Cluster

    experts, plan = {TASK: "demo_experts:Unsteady"}, {"episodes": 12, "seed": 5}
    (alone,) = collect(experts, Plan(tmp_path / "alone", **plan), workers=0)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1)]
    try:
        ray.init(address=cluster.address, log_to_driver=False)

        def kill(task, chosen, played):
            if played == 2 and nodes:
                cluster.remove_node(nodes.pop(), allow_graceful=False)

        (outcome,) = collect(experts, Plan(tmp_path / "ray", **plan), None, kill, "ray")
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert not nodes and outcome == alone and outcome.good
    one, other = (root_tape(TASK, tmp_path / name).read_bytes() for name in ("alone", "ray"))
    assert one == other


@needs_ray
@pytest.mark.slow
def test_a_command_starts_a_cluster_where_there_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    words = (
        f"demos collect --tasks {TASK.name} --expert demo_experts:Dying --engine ray --episodes 1"
    )
    with pytest.raises(SystemExit):
        main([*words.split(), "--attempts", "1", "--workers", "1", "--root", str(tmp_path)])
    output = capsys.readouterr()
    assert "only 0 good episodes of 1 played" in output.out
    assert "its process on the Ray cluster is gone" in output.out
