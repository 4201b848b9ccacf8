"""Evaluation of policies on tasks, without torch: videos of episodes."""
