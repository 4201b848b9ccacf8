"""``mmbench lite run``: a comparison of methods, run by run, as a machine has time for it.

* :mod:`mmbench.lite.flags`: what the user adds to every run's command.
* :mod:`mmbench.lite.jobs`: one run of one method: its command, its folder, how far it is.
* :mod:`mmbench.lite.runner`: several of them at once, until all are done.

The methods are programs of other packages; nothing of them is imported.
"""

from mmbench.lite.flags import split_flags
from mmbench.lite.jobs import Job, make_jobs
from mmbench.lite.runner import Runner

__all__ = ["Job", "Runner", "make_jobs", "split_flags"]
