"""A stand-in for Ray: actors of this process, on cores that come and go as a test likes."""

from types import SimpleNamespace


class FakeRay:
    """What :mod:`mmbench.demos.ray_pool` calls of the package.

    Attributes:
        cores: Of the cluster.
        actors: All that were ever asked for.
        broken: No actor can start.
        hangs: No job ends.
        ended: Whether the cluster was left.
    """

    class Lost(Exception):
        pass

    exceptions = SimpleNamespace(RayError=Lost)

    def __init__(self, cores):
        self.cores, self.actors = cores, []
        self.initialized = self.ended = self.broken = self.hangs = False

    def is_initialized(self):
        return self.initialized

    def init(self, **_):
        self.initialized = True

    def shutdown(self):
        self.ended = True

    def cluster_resources(self):
        return {"CPU": float(self.cores)}

    def remote(self, **_):
        return lambda cls: SimpleNamespace(remote=lambda *words: self._make(cls, words))

    def _make(self, cls, words):
        self.actors.append(_FakeActor(cls(*words), self.broken))
        return self.actors[-1]

    def kill(self, actor):
        actor.lost = True

    def wait(self, answers, num_returns=1, timeout=None):
        return [answer for answer in answers if self._is_ready(answer)][:num_returns], []

    def _is_ready(self, answer):
        # The actors that were asked for first have the cores.
        placed = [actor for actor in self.actors if not actor.lost][: self.cores]
        works = answer.actor in placed and not (self.hangs and answer.words)
        return answer.actor.lost or works

    def get(self, answer):
        if answer.actor.lost:
            raise self.Lost("The actor died.\nA trace.")
        return answer.method(*answer.words)


class _FakeActor:
    def __init__(self, actor, lost):
        self._own, self.lost = actor, lost

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *words: _Answer(self, getattr(self._own, name), words))


class _Answer:
    def __init__(self, actor, method, words):
        self.actor, self.method, self.words = actor, method, words
