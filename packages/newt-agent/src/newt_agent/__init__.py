"""Newt: a language-conditioned world model for massively multitask continuous control.

The agent of "Learning Massively Multitask World Models for Continuous Control"
(arXiv 2511.19584). As a library::

    from newt_agent import Agent

    agent = Agent.load("runs/my-run")
    actions = agent.act(obs, tasks=["walker-walk"], first=[True])
"""

from newt_agent.agent import Agent
from newt_agent.method import Method, Step
from newt_agent.newt import Newt, NewtConfig
from newt_agent.original import import_original
from newt_agent.planner import Planner, PlannerConfig
from newt_agent.planning_agent import PlanningAgent
from newt_agent.world_model import SIZES, ModelConfig, WorldModel

__version__ = "0.1.0"

__all__ = [
    "SIZES",
    "Agent",
    "Method",
    "ModelConfig",
    "Newt",
    "NewtConfig",
    "Planner",
    "PlannerConfig",
    "PlanningAgent",
    "Step",
    "WorldModel",
    "__version__",
    "import_original",
]
