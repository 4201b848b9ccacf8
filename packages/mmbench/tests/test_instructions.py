"""The wording of the instructions: right about the embodiment, and different where tasks are."""

import itertools
import re
from collections import defaultdict

import numpy as np
import pytest

from mmbench import catalog
from mmbench.language import embed

PUBLISHED = tuple(task for task in catalog.TASKS if task.version == 0)
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
MAX_COSINE = 0.995


def embodiment(task):
    return task.instruction.split(". ")[0]


def goal(task):
    return task.instruction.split(". ", 1)[1]


def test_no_two_tasks_share_an_instruction():
    # In the published table 18 training tasks do, in 8 groups.
    assert len({task.instruction for task in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.id)
def test_plain_english(task):
    text = task.instruction
    assert re.fullmatch(r"[A-Z][A-Za-z ,;:.'-]+\.", text), "letters and punctuation only"
    assert "  " not in text
    assert embodiment(task) and goal(task)
    assert 15 <= len(text.split()) <= 60
    assert "pygame" not in text.lower()
    assert task.name not in text.lower()


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.id)
def test_the_first_sentence_tells_the_size_of_the_action(task):
    words = set(re.findall(r"[a-z]+", embodiment(task).lower()))
    number = {NUMBERS[task.action_dim]} | ({"single"} if task.action_dim == 1 else set())
    assert number & words


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*-sparse", "sparse"),
        ("*cartpole-balance|*cartpole-swingup", "smooth"),
        ("*-hard", "tiny|very small"),
        ("*-easy", "large"),
        ("*-backward*", "backward"),
        ("walker-*-incline", "slopes"),
        ("*-two-poles-*", "two free poles"),
        ("*-long-*", "long and heavy"),
        ("spinner-*-four", "four"),
        ("mw-*-wall", "wall"),
        ("mw-*-topdown*", "from above"),
        ("mw-handle-*-side", "sideways"),
        ("ms-*-xarm6", "xArm"),
        ("ms-pick-cube-eepose|ms-reach-eepose", "turning it about three axes"),
        ("pygame-cartpole-tremor", "shake"),
    ],
)
def test_variants_are_told_in_words(pattern, words):
    """The words stand in the variants and in none of their siblings."""
    globs = [re.compile(glob.replace("*", ".*") + r"\Z") for glob in pattern.split("|")]
    stems = {_stem(task.name) for task in PUBLISHED if any(g.match(task.name) for g in globs)}
    siblings = [task for task in PUBLISHED if _stem(task.name) in stems]
    assert siblings
    for task in siblings:
        expected = any(glob.match(task.name) for glob in globs)
        told = re.search(words, task.instruction) is not None
        assert told == expected, task.name


def _stem(name):
    parts = "balance swingup sparse easy hard incline two poles long four wall topdown eepose"
    parts += " backward side xarm6 so tremor"
    return "-".join(part for part in name.split("-") if part not in parts.split())


def test_no_two_tasks_of_an_embodiment_have_nearly_the_same_embedding():
    groups = defaultdict(list)
    for task in PUBLISHED:
        groups[task.action_dim, embodiment(task)].append(task)
    assert sum(len(group) > 1 for group in groups.values()) >= 20
    for group in groups.values():
        vectors = embed([task.instruction for task in group])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        cosines = vectors @ vectors.T
        for i, j in itertools.combinations(range(len(group)), 2):
            assert cosines[i, j] <= MAX_COSINE, (group[i].name, group[j].name)


def test_the_same_embodiment_has_the_same_size_of_action():
    sizes = defaultdict(set)
    for task in PUBLISHED:
        sizes[embodiment(task)].add(task.action_dim)
    assert all(len(size) == 1 for size in sizes.values())


def test_every_instruction_fits_the_context_of_clip():
    open_clip = pytest.importorskip("open_clip", reason="needs open_clip", exc_type=Exception)
    tokenizer = open_clip.get_tokenizer("ViT-B-32-quickgelu")
    for task in catalog.TASKS:
        # Two more for the start and the end token.
        assert len(tokenizer.encode(task.instruction)) + 2 <= tokenizer.context_length, task.name
