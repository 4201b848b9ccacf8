"""Embodiments and goals that dm_control's suite does not have, one file an embodiment.

Every module is written as the suite writes its domains: a ``Physics`` with named quantities, tasks
with a reset, an observation and a reward, and one function a task that returns its environment,
which has no time limit of its own. A reward lies in [0, 1] a control step. Heights are of the
world's z; forward is positive x.
"""

import numpy as np

# Imports dm_control without the warning that it gives where there is no display.
import mmbench.domains.dmcontrol  # noqa: F401

Random = int | np.random.RandomState | None
"""A seed, a generator, or None for a seed that the system chooses: as dm_control's tasks take."""
