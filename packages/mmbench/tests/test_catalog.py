"""The task table against a copy of the published one, and the groups over it."""

import csv
import dataclasses
import math
from collections import Counter
from pathlib import Path

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmbench
from mmbench import catalog
from mmbench.catalog import UnknownTaskError, get, select

with open(Path(__file__).parent / "data" / "tasks.csv", newline="") as file:
    PUBLISHED = {row["task"]: row for row in csv.DictReader(file)}

# Tasks to train on and held out, by domain (paper, tables 1 and 9).
TRAIN = {
    "dmcontrol": 21,
    "dmcontrol-ext": 16,
    "metaworld": 49,
    "maniskill": 36,
    "mujoco": 6,
    "box2d": 8,
    "robodesk": 6,
    "ogbench": 12,
    "miniarcade": 19,
    "atari": 27,
}
TEST = {"dmcontrol-ext": 5, "maniskill": 10, "ogbench": 2, "miniarcade": 3}
EXTRA = {"dmcontrol-ext": 7, "maniskill": 1}

HELD_OUT = frozenset(task.name for task in catalog.TASKS if task.split != "train")
NAMES = tuple(task.name for task in catalog.TASKS if task.version == 0)


def names(tasks):
    return [task.name for task in tasks]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_is_the_published_one(name):
    task, row = get(name), PUBLISHED[name]
    for field in ("domain", "split", "score_metric"):
        assert getattr(task, field) == row[field], field
    for field in ("obs_dim", "action_dim", "max_episode_steps", "action_repeat"):
        assert getattr(task, field) == int(row[field]), field
    for field in ("discount", "score_low", "score_high"):
        assert getattr(task, field) == float(row[field]), field
    assert task.version == 0 and task.differs == ""


def test_no_row_is_missing_or_more():
    assert sorted(NAMES) == sorted(PUBLISHED)


def test_counts_by_split_and_domain():
    assert [len(mmbench.tasks(split=split)) for split in ("train", "test", "extra")] == [200, 20, 8]
    assert len(mmbench.tasks()) == 220
    for split, expected in (("train", TRAIN), ("test", TEST), ("extra", EXTRA)):
        assert Counter(task.domain for task in mmbench.tasks(split=split)) == expected
    assert list(TRAIN) == list(catalog.DOMAINS)


def test_every_record_is_possible_and_one_of_a_benchmark():
    for task in catalog.TASKS:
        assert task.problem == "", task.id
        assert task.obs_dim > 0 and task.has_score and not task.terminates


def test_a_corrected_task_says_what_differs():
    for task in catalog.TASKS:
        assert bool(task.differs) == (task.version > 0), task.id


def test_every_id_is_registered():
    for task in catalog.TASKS:
        assert gymnasium.spec(task.id).id == task.id


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get("walker-walk").discount = 0.5


def test_tasks_refuses_an_unknown_split_or_domain():
    with pytest.raises(ValueError, match="unknown split 'valid'.*train, test, extra"):
        mmbench.tasks(split="valid")
    with pytest.raises(ValueError, match="unknown domain 'dmc'.*dmcontrol, dmcontrol-ext"):
        mmbench.tasks(domain="dmc")


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.id)
def test_a_record_is_found_by_its_names(task):
    assert get(task.id) is get(f"{task.name}-v{task.version}") is task
    assert select(task.id) == select(f"{task.name}-v{task.version}") == (task,)
    assert get(task.name).version == 0
    assert select(task.name)[0].version == 0


def test_names_of_tasks_and_groups_do_not_collide():
    groups = ["all", "train", "test", "extra", *catalog.DOMAINS, *catalog.PRESETS]
    assert len(set(groups)) == len(groups)
    assert not set(groups) & set(NAMES)


@pytest.mark.parametrize("group", ["all", "train", "test", "extra"])
def test_groups_are_splits(group):
    split = "train" if group == "all" else group
    assert select(group) == mmbench.tasks(split=split)


@pytest.mark.parametrize("domain", catalog.DOMAINS)
def test_a_domain_selects_its_training_tasks(domain):
    assert len(select(domain)) == TRAIN[domain]
    assert not HELD_OUT & set(names(select(domain)))


@pytest.mark.parametrize("preset", catalog.PRESETS)
def test_a_preset_selects_training_tasks_of_version_0(preset):
    selected = select(preset)
    assert names(selected) == list(catalog.PRESETS[preset])
    assert {(task.split, task.version) for task in selected} == {("train", 0)}


def test_a_glob_selects_by_name():
    assert names(select("mw-door-*")) == [
        "mw-door-open",
        "mw-door-close",
        "mw-door-lock",
        "mw-door-unlock",
    ]
    assert names(select("walker-[rs]*")) == ["walker-stand", "walker-run", "walker-run-backward"]
    assert names(select("ms-push-*")) == ["ms-push-cube"]
    assert select("*") == select("all")


@given(st.data())
def test_no_glob_selects_a_held_out_task(data):
    name = data.draw(st.sampled_from(sorted(HELD_OUT)))
    start = data.draw(st.integers(0, len(name) - 1))
    stop = data.draw(st.integers(start + 1, len(name)))
    pattern = name[:start] + data.draw(st.sampled_from(["*", "?" * (stop - start)])) + name[stop:]
    try:
        selected = names(select(pattern))
    except UnknownTaskError as error:
        assert "'test'" in str(error)
    else:
        assert selected
        assert not HELD_OUT & set(selected)


def test_a_held_out_task_is_reached_by_its_exact_name():
    for name in HELD_OUT:
        assert names(select(name)) == [name]


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
def test_a_comma_list_keeps_the_order_and_drops_repetitions(chosen):
    expected = list(dict.fromkeys(chosen))
    assert names(select(",".join(chosen))) == expected
    assert names(select(" , ".join(chosen))) == expected
    assert names(select(chosen)) == expected
    assert names(select([get(name) for name in chosen])) == expected


def test_groups_mix_in_a_comma_list():
    selected = select("ms-push-pear,robodesk,rd-push-*,walker-walk")
    assert names(selected) == ["ms-push-pear", *names(select("robodesk")), "walker-walk"]


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("walker-wlak", "walker-walk"),
        ("mw-dor-open", "mw-door-open"),
        ("miniarcde", "miniarcade"),
        ("quickstrat", "quickstart"),
        ("walker-walk-v7", "walker-walk-v0"),
    ],
)
def test_an_unknown_name_lists_the_nearest(unknown, nearest):
    for spec in (unknown, f"walker-run,{unknown}"):
        with pytest.raises(UnknownTaskError) as error:
            select(spec)
        message = str(error.value)
        assert repr(unknown) in message
        assert nearest in message.split("did you mean")[1].split("?")[0]


@pytest.mark.parametrize("spec", ["", ",", []])
def test_an_empty_selection_is_an_error(spec):
    with pytest.raises(UnknownTaskError):
        select(spec)


@given(st.sampled_from(catalog.TASKS), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0]))
def test_scores(task, episode_return, success):
    score = task.score(episode_return, success)
    if task.score_metric == "success":
        assert score == success
        return
    low, high = task.score_low, task.score_high
    linear = (episode_return - low) / (high - low)
    assert math.isclose(task.score(low, math.nan), 0, abs_tol=1e-12)
    assert math.isclose(task.score(high, math.nan), 1)
    if task.score_clipped:
        linear = min(max(linear, 0), 1)
    assert math.isclose(score, linear, abs_tol=1e-12)


def test_scores_are_clipped_where_the_published_ones_are():
    clipped: dict[str, set[bool]] = {}
    for task in catalog.TASKS:
        if task.score_metric == "return" and task.version == 0:
            clipped.setdefault(task.domain, set()).add(task.score_clipped)
    assert clipped == {
        "dmcontrol": {False},
        "dmcontrol-ext": {False},
        "maniskill": {False},
        "mujoco": {True},
        "box2d": {True},
        "ogbench": {True},
        "miniarcade": {True},
        "atari": {True},
    }
