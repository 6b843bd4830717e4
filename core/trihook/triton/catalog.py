"""The models that Triton has loaded: read once, and again when they change.

Reading happens on the network's hub; a finished snapshot may be looked at from any thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias, TypeVar

import gevent

from trihook.deadline import Deadline
from trihook.errors import DeadlineError, ScoringError, TritonError
from trihook.triton.client import TritonClient
from trihook.triton.metadata import build_model
from trihook.types import Model, Option

_LOG = logging.getLogger(__name__)
_REREAD_PAUSE = 1.0  # seconds; a flood of refused requests must not become one of metadata reads
_MOST_REREADS = 64  # in that time, of what Triton has not told of

K = TypeVar("K")
M = TypeVar("M", Model, "Model | None")
_Reading: TypeAlias = "gevent.Greenlet[..., ScoringError | None]"


class Catalog:
    """The models by name, at the version that Triton serves when none is named.

    Metadata is never read for a request as such: it is read at the first one, when Triton's
    repository index shows a change, and, for models in use, every ``refresh_interval`` seconds
    in the background, which finds a model that was reloaded in place. A refused inference and a
    reply from another version lead to a reading as well. Whoever asks for what is being read
    waits for it, no longer than its deadline. ``options`` gives a model's overriding options.
    """

    def __init__(
        self,
        client: TritonClient,
        options: Callable[[str], Mapping[str, Option]] = lambda _: {},
        refresh_interval: float = 10.0,
    ) -> None:
        self._client = client
        self._options = options
        self._interval = refresh_interval
        self._models: Mapping[str, Model] = MappingProxyType({})
        self._pinned: dict[tuple[str, str], Model] = {}
        self._served: dict[str, tuple[str, ...]] = {}
        self._listed: frozenset[str] = frozenset()
        self._used: set[str] = set()
        self._reread: dict[tuple[str, str], float] = {}
        self._rereading: dict[tuple[str, str], _Reading] = {}
        self._read_at = float("-inf")
        self._reading: _Reading | None = None

    @property
    def models(self) -> Mapping[str, Model]:
        """The latest snapshot, immutable, empty before the first reading."""
        return self._models

    @property
    def only_model(self) -> str:
        """The name of the only model there is, ``""`` where there are more or none."""
        models = self._models  # which another thread may read while the hub takes a new snapshot
        return next(iter(models)) if len(models) == 1 else ""

    def lists(self, name: str) -> bool:
        """Tell whether the repository has such a model, which then may become ready."""
        return name in self._listed

    def ensure(self, deadline: Deadline | None = None) -> None:
        """Read the models if that was never done; see to an old snapshot in the background.

        Raises a :class:`trihook.ScoringError` if nothing was ever read and Triton cannot be asked
        now.
        """
        if not self._models:
            self.refresh(deadline)
        elif time.monotonic() - self._read_at > self._interval:
            self._start_reading()

    def find(self, name: str, version: str = "", deadline: Deadline | None = None) -> Model | None:
        """Return the model, looking for it in Triton once if the snapshot does not have it."""
        model = self._known(name, version)
        if model is None:
            self._read_once((name, version), lambda: self._look_for(name, version), deadline)
            model = self._known(name, version)
        if model is not None:
            self._used.add(name)
        return model

    def changed(
        self, model: Model, *, pinned: bool = False, deadline: Deadline | None = None
    ) -> Model | None:
        """Read a model again, at most once a second; return it if it is not what it was."""
        version = model.version if pinned else ""
        self._read_once((model.name, version), lambda: self._renew(model.name, version), deadline)
        now = self._known(model.name, version)
        return now if now is not None and not _are_alike(now, model) else None

    def note_version(self, model: Model, version: str) -> None:
        """Take notice of the version that answered: another one than known ages the snapshot."""
        if version not in ("", model.version) and self._may_reread((model.name, f"not {version}")):
            self._used.add(model.name)
            self._read_at = float("-inf")

    def refresh(self, deadline: Deadline | None = None) -> None:
        """Read the repository index, and the metadata of what is new, changed or in use.

        Whoever asks while that is under way shares it, and what it raises.
        """
        _wait_for(self._start_reading(), deadline)

    def _start_reading(self) -> _Reading:
        if self._reading is None:
            self._reading = gevent.spawn(self._read_all)
        return self._reading

    def _read_once(
        self, key: tuple[str, str], read: Callable[[], None], deadline: Deadline | None
    ) -> None:
        """Read something about one model, at most once a second, together with all who ask."""
        reading = self._rereading.get(key)
        if reading is None and self._may_reread(key):
            reading = self._rereading[key] = gevent.spawn(self._reread_one, key, read)
        if reading is not None:
            _wait_for(reading, deadline)

    def _reread_one(self, key: tuple[str, str], read: Callable[[], None]) -> ScoringError | None:
        try:
            read()
        except ScoringError as exc:
            self._reread.pop(key, None)  # it has told nothing, so who asks next may ask
            return exc
        finally:
            del self._rereading[key]
        return None

    def _look_for(self, name: str, version: str) -> None:
        is_late = self._reading is not None  # it may have begun before the model was loaded
        self.refresh()
        if is_late and self._known(name, version) is None:
            self.refresh()
        if version in self._served.get(name, ()) and self._known(name, version) is None:
            self._renew(name, version)

    def _renew(self, name: str, version: str) -> None:
        model = self._read(name, version)
        if model is None:
            return
        if version:
            self._pinned[name, version] = model
        else:
            self._models = MappingProxyType({**self._models, name: model})

    def _read_all(self) -> ScoringError | None:
        """Take a new snapshot, or return why the last one had to be kept."""
        try:
            self._read_index()
        except ScoringError as exc:
            _LOG.info("keeping the models as they were last read: %s", exc)
            return exc
        finally:
            self._read_at = time.monotonic()
            self._reading = None
        return None

    def _read_index(self) -> None:
        index = self._client.index()
        served = _by_name(index)
        before, pinned_before = self._models, dict(self._pinned)
        used, self._used = self._used, set()
        models = {}
        for name, versions in served.items():
            known = self._models.get(name)
            if known is None or name in used or self._served.get(name) != versions:
                fresh = self._read(name)
                known = known if fresh == known else fresh  # what was resolved for it still holds
            if known is not None:
                models[name] = known
        pinned = {key: self._read(*key) for key in list(self._pinned) if key[0] in used}
        self._models = MappingProxyType(_latest(models, before, self._models))
        self._served = served
        self._listed = frozenset(entry["name"] for entry in index)
        pinned = _latest(pinned, pinned_before, self._pinned)
        self._pinned = {
            key: model
            for key, known in self._pinned.items()
            if key[1] in served.get(key[0], ()) and (model := pinned.get(key, known)) is not None
        }

    def _known(self, name: str, version: str) -> Model | None:
        pinned = self._pinned.get((name, version))
        if pinned is not None:
            return pinned  # read later than the snapshot
        model = self._models.get(name)
        return model if model is not None and version in ("", model.version) else None

    def _read(self, name: str, version: str = "") -> Model | None:
        """Read one model from Triton; None if it is not there, or not any more."""
        try:
            metadata = self._client.metadata(name, version)
            config = self._client.config(name, version)
            if version:
                metadata = {**metadata, "versions": [version]}
            return build_model(metadata, config, self._options(name))
        except TritonError as exc:
            _LOG.warning("model %r is left out: %s", name, exc)
            return None

    def _may_reread(self, key: tuple[str, str]) -> bool:
        now = time.monotonic()
        if now - self._reread.get(key, float("-inf")) < _REREAD_PAUSE:
            return False
        self._reread = {k: t for k, t in self._reread.items() if now - t < _REREAD_PAUSE}
        is_known = key[0] in self._listed and key[1] in ("", *self._served.get(key[0], ()))
        if not is_known and len(self._reread) >= _MOST_REREADS:
            return False
        self._reread[key] = now
        return True


def _wait_for(reading: _Reading, deadline: Deadline | None) -> None:
    """Wait for a reading, which goes on whoever gives up, and raise what it came to."""
    with gevent.Timeout((deadline or Deadline()).left(), False):
        error = reading.get()
        if error is not None:
            raise error
        return
    raise DeadlineError("Triton did not tell about its models in time")


def _are_alike(one: Model, other: Model) -> bool:
    """Tell whether a request is fitted to both alike, whichever versions stand beside them."""
    return replace(one, versions=other.versions) == other


def _latest(read: Mapping[K, M], before: Mapping[K, Model], now: Mapping[K, Model]) -> dict[K, M]:
    """Return what was read, but for what has been read once more meanwhile."""
    return {
        key: model if now.get(key) is before.get(key) else now[key] for key, model in read.items()
    }


def _by_name(index: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the versions that are ready, by model name, of a repository index."""
    served: dict[str, tuple[str, ...]] = {}
    for entry in index:
        if entry.get("state") == "READY":
            versions = (*served.get(entry["name"], ()), str(entry.get("version", "")))
            served[entry["name"]] = tuple(sorted(versions))
    return dict(sorted(served.items()))
