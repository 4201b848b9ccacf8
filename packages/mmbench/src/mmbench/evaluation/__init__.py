"""Evaluation of policies on tasks, without torch: scores, their means, videos of episodes."""

from mmbench.evaluation.scores import Episode, is_result, summarise

__all__ = ["Episode", "is_result", "summarise"]
