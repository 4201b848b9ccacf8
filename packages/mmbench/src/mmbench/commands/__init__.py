"""Subcommands of ``mmbench`` that are too long for :mod:`mmbench.cli`."""
