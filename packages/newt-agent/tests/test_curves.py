"""The learning curves: what is drawn, and whether it can be read."""

import numpy as np
import pytest
from PIL import Image

from newt_agent.curves import curves, draw_curves


def row(phase, step, score, task="walker-walk", **more):
    return {"task": task, "phase": phase, "step": str(step), "score": str(score), **more}


RUN = [
    row("random", 0, 0.1),
    row("random", 0, 0.2),
    row("before", 0, 0.05),
    *(row("train", step, step / 100_000) for step in (20_000, 40_000, 60_000)),
    row("train", 60_000, 0.8),
    row("eval", 40_000, 0.5),
    row("after", 60_000, 0.9),
    row("after", 60_000, 0.7),
]


def drawn(axes):
    """The numbers of each line by its label in the legend."""
    return {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.lines}


def test_training_evaluations_and_what_to_compare_with_are_drawn():
    figure = curves(RUN)
    lines = drawn(figure.axes[0])
    assert lines["training episode"] == [0.2, 0.4, 0.6, 0.8]
    assert lines["mean of training episodes"] == pytest.approx([0.2, 0.4, 0.7])
    assert lines["evaluation"] == [0.5]
    assert lines["final evaluation"] == pytest.approx([0.8])
    assert lines["random policy"] == pytest.approx([0.15, 0.15])  # from end to end
    assert lines["untrained agent"] == [0.05, 0.05]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == set(lines)


def test_without_a_score_the_return_is_shown():
    rows = [
        row("train", step, score, task, **{"return": str(-step)})
        for task, score in (("walker-walk", "0.5"), ("gym:A-v0", "nan"))
        for step in (100, 200)
    ]
    without, with_score = curves(rows).axes
    assert without.get_ylabel() == "return"
    assert drawn(without)["training episode"] == [-100, -200]
    assert with_score.get_ylabel() == "score"
    assert drawn(with_score)["training episode"] == [0.5, 0.5]


def test_a_long_run_has_means_instead_of_a_zigzag():
    rows = [row("train", step, step % 2) for step in range(1, 2001)]
    means = drawn(curves(rows).axes[0])["mean of training episodes"]
    assert 20 <= len(means) <= 100
    assert means == pytest.approx([0.5] * len(means), abs=0.02)


@pytest.mark.parametrize("tasks", [1, 4, 12])
@pytest.mark.parametrize("steps", [600, 60_000, 100_000_000])
def test_the_steps_can_be_read(tasks, steps):
    rows = [row("train", steps, 0.5, f"task-{i}") for i in range(tasks)]
    figure = curves(rows)
    figure.canvas.draw()
    for axes in figure.axes:
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) >= 3
        assert all(a.x1 + 4 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))


def test_the_file_is_a_picture_also_of_a_run_without_episodes(tmp_path):
    for name, rows in (("run.png", RUN), ("nothing.png", [])):
        draw_curves(rows, tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG" and picture.width >= 400
