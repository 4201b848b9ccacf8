"""A domain for MMBench: a mass on a spring."""
