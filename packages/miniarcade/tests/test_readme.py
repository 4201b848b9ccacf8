"""The README says what the code does."""

import re
from pathlib import Path

import miniarcade

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_table_of_games():
    rows = {}
    section = README.partition("## The games")[2].partition("## ")[0]
    for line in section.splitlines():
        if match := re.match(r"\| `([a-z0-9-]+)`(?: to `(var4)`)?( \*)? \|", line):
            name, last, vector = match.groups()
            names = [f"{name[:-1]}{i}" for i in range(1, 5)] if last else [name]
            rows |= dict.fromkeys(names, ([c.strip() for c in line.split("|")], bool(vector)))
    assert rows.keys() == {task.name for task in miniarcade.tasks()}
    for task in miniarcade.tasks():
        (_, _, _, action, observation, steps, score, _), vector = rows[task.name]
        game = task.game_class()
        assert int(action.partition(":")[0]) == game.action_size
        assert int(observation.partition(":")[0]) == game.observation_size
        assert int(steps) == task.max_episode_steps
        assert vector == task.vector
        if bounds := re.search(r": (-?\d+) to (-?\d+)$", score):
            assert tuple(map(int, bounds.groups())) == (task.score_low, task.score_high)
