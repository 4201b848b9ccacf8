"""What can run on this machine, what cannot, and why: the work behind ``mmbench doctor``.

Whatever may fail, crash or hang (a simulator's import, a graphics driver) runs in a process of its
own with a time limit. This process imports no simulator::

    >>> from mmbench.doctor import examine
    >>> report = examine()          # some 30 s
    >>> report.ok, report.domains[0].status, report.renderers[0].status
    (False, 'works', 'works')

* :mod:`mmbench.doctor.packages`: installed and tested versions.
* :mod:`mmbench.doctor.probe`: what runs in the other processes.
* :mod:`mmbench.doctor.jobs`: running those.
* :mod:`mmbench.doctor.examination`: the report of it all.
"""

from mmbench.doctor.examination import examine
from mmbench.doctor.report import DomainReport, Package, Problem, Renderer, Report

__all__ = ["DomainReport", "Package", "Problem", "Renderer", "Report", "examine"]
