"""Baselines for MMBench, one readable file each, on the training loop of newt-agent."""

__version__ = "0.1.0"
