"""Baselines for MMBench: behaviour cloning, PPO, FastTD3 and TD-MPC2.

None of them is written yet; the package holds their place and their dependencies.
"""

__version__ = "0.1.0"
