"""The pipeline: select a model, preprocess, infer, postprocess; one item's failure is its own.

It knows neither HTTP nor how its threads or greenlets come about.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from trihook.calls import HookCall, Stopwatch, late_error
from trihook.deadline import Deadline
from trihook.errors import (
    HookResultError,
    ScoringError,
    TritonError,
    TritonUnavailableError,
    UnknownModelError,
)
from trihook.hooks import Hooks
from trihook.items import postprocess, preprocess
from trihook.outcome import Outcome, Progress, Scored
from trihook.plugins import CORE
from trihook.runtime import Runtime
from trihook.triton.batching import Batcher, Result
from trihook.triton.catalog import Catalog
from trihook.triton.dtypes import size_of
from trihook.triton.inputs import Inputs
from trihook.types import Model, ModelRef, ScoringRequest

T = TypeVar("T")
R = TypeVar("R")

_MOST_AT_ONCE = 256  # items of a request whose hooks are quick, one by one: some milliseconds


class Pipeline:
    """Takes requests through the hooks and Triton.

    ``score`` may be called from several greenlets or threads at once, as its runtime allows.
    """

    def __init__(self, hooks: Hooks, catalog: Catalog, batcher: Batcher, runtime: Runtime) -> None:
        self._hooks = hooks
        self._catalog = catalog
        self._batcher = batcher
        self._runtime = runtime

    def score(
        self,
        request: ScoringRequest,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Outcome:
        """Score every item of a request.

        Raises :class:`ScoringError` where the whole request fails: no model, no Triton, no
        time. How far it came then is in ``progress``. The failure of a single item is in its
        :class:`Scored`.
        """
        return _Run(
            self._hooks,
            self._catalog,
            self._batcher,
            self._runtime,
            request,
            deadline or Deadline(),
            progress or Progress(),
        ).score()


@dataclass(slots=True)
class _Run:
    """One request on its way."""

    hooks: Hooks
    catalog: Catalog
    batcher: Batcher
    runtime: Runtime
    request: ScoringRequest
    deadline: Deadline
    progress: Progress
    stage: str = ""
    began: float = 0.0

    def score(self) -> Outcome:
        try:
            return self._score()
        except ScoringError as exc:
            exc.at(self.stage)
            self._begin("")
            raise exc from exc.__cause__

    def _score(self) -> Outcome:
        self._begin("select_model")
        self.runtime.run_network(lambda: self.catalog.ensure(self.deadline))
        ref, plugin = self._select()
        model = self.progress.model = self._find(ref, plugin)
        scored = [Scored(item) for item in self.request.items]
        self._pass(scored, model, ref)
        passed = [one for one in scored if one.error is None]
        refused = [one for one in scored if isinstance(one.error, TritonError)]
        may_pass = refused and not model.stateful  # whose state the first pass may have changed
        latest = self._pass_again(refused, model, ref) if may_pass else model
        self._begin("postprocess")
        self._reply(passed, model)
        self._reply([one for one in refused if one.error is None], latest)
        self._begin("")
        return Outcome(latest, ref, plugin, tuple(scored), self.progress.seconds)

    def _begin(self, stage: str) -> None:
        """End the stage that the request is at, and begin another."""
        now = time.perf_counter()
        if self.stage:
            seconds = self.progress.seconds
            seconds[self.stage] = seconds.get(self.stage, 0.0) + now - self.began
        self.stage, self.began = stage, now

    def _select(self) -> tuple[ModelRef, str]:
        call = HookCall("select_model")
        if self.hooks.are_quick("select_model", None, self.request, self.request.size):
            answer = self._ask_for_model(call)
        else:
            [answer] = self._run_in_threads(self._ask_for_model, [call], [call])
        if isinstance(answer, ScoringError):
            raise answer
        if answer is None:
            raise UnknownModelError(self._no_choice(), stage="select_model")
        if self.request.version and not (self.request.model or answer.version):
            answer = replace(answer, version=self.request.version)  # of whichever is chosen
        return answer, call.answered

    def _ask_for_model(self, call: HookCall) -> ModelRef | ScoringError | None:
        try:
            return self.hooks.select_model(call, self.request, self.catalog.models)
        except ScoringError as exc:
            return exc

    def _no_choice(self) -> str:
        names = ", ".join(map(repr, self.catalog.models)) or "none"
        return (
            "the request names no model, no plugin chose one and there is no default_model; "
            f"loaded are: {names}"
        )

    def _find(self, ref: ModelRef, plugin: str) -> Model:
        model = self.runtime.run_network(
            lambda: self.catalog.find(ref.name, ref.version, self.deadline)
        )
        if model is not None:
            return model
        what = f"model {ref.name!r}" + (f" at version {ref.version!r}" if ref.version else "")
        is_listed = self.catalog.lists(ref.name)
        if is_listed and not ref.version:
            raise TritonUnavailableError(f"{what} is not ready", stage="select_model")
        if plugin != CORE and not self._is_callers(ref, is_listed):
            raise HookResultError(
                f"plugin {plugin!r} chose {what}, which is not loaded",
                stage="select_model",
                plugin=plugin,
            )
        raise UnknownModelError(f"{what} is not loaded", stage="select_model")

    def _is_callers(self, ref: ModelRef, is_listed: bool) -> bool:
        """Tell whether the request asks for just this, and be it the version of a chosen model."""
        model = self.request.model or (ref.name if is_listed else "")
        return (ref.name, ref.version) == (model, self.request.version)

    def _pass(self, scored: Sequence[Scored], model: Model, ref: ModelRef) -> None:
        """Take items to their outputs."""
        self._begin("preprocess")
        self._on_each("preprocess", preprocess, scored, model, self.request.size)
        ready = [(one, one.inputs) for one in scored if one.inputs is not None]
        if not ready:
            return
        self._begin("infer")
        results = self._infer([inputs for _, inputs in ready], model, ref)
        for (one, _), result in zip(ready, results, strict=True):
            if isinstance(result, ScoringError):
                one.error = result.at("infer")
            else:
                one.outputs = result

    def _pass_again(self, refused: Sequence[Scored], model: Model, ref: ModelRef) -> Model:
        """Take refused items once more if the model is not what it was when they were fitted."""
        try:
            now = self.runtime.run_network(
                lambda: self.catalog.changed(
                    model, pinned=bool(ref.version), deadline=self.deadline
                )
            )
        except ScoringError:
            return model  # the others have their outputs, and these their error
        if now is None:
            return model
        for one in refused:
            one.error = one.inputs = None
        try:
            self._pass(refused, now, ref)
        except ScoringError as exc:  # of the request; but the others have their outputs
            for one in refused:
                one.error = one.error or exc.at(self.stage)
        return now

    def _reply(self, scored: Sequence[Scored], model: Model) -> None:
        """Take items that ``model`` scored to their replies."""
        if not scored:
            return
        size = sum([size_of(array) for one in scored for array in one.outputs.values()])
        self._on_each("postprocess", postprocess, scored, model, size)

    def _infer(self, inputs: Sequence[Inputs], model: Model, ref: ModelRef) -> list[Result]:
        return self.runtime.run_network(
            lambda: self.batcher.submit(
                inputs,
                model,
                version=ref.version,
                request_id=self.request.id,
                deadline=self.deadline,
            )
        )

    def _on_each(
        self,
        hook: str,
        function: Callable[[Hooks, ScoringRequest, Scored, HookCall, Model], None],
        scored: Sequence[Scored],
        model: Model,
        size: int,
    ) -> None:
        """Call ``function`` for each item, and keep what it raises."""

        def attempt(one: Scored, call: HookCall) -> None:
            try:
                function(self.hooks, self.request, one, call, model)
            except ScoringError as exc:
                one.error = exc.at(hook, call.blamed)

        if len(scored) <= _MOST_AT_ONCE and self.hooks.are_quick(hook, model, self.request, size):
            for one in scored:
                attempt(one, HookCall(hook))
            return
        calls = [HookCall(hook) for _ in scored]
        work = list(zip(scored, calls, strict=True))
        self._run_in_threads(lambda piece: attempt(*piece), work, calls)

    def _run_in_threads(
        self, function: Callable[[T], R], work: Sequence[T], calls: Sequence[HookCall]
    ) -> list[R]:
        watch = Stopwatch()
        try:
            return self.runtime.run_hooks(watch.timed(function), work, self.deadline)
        except TimeoutError as exc:
            lasted = time.perf_counter() - self.began
            elapsed = sum(self.progress.seconds.values()) + lasted
            raise late_error(calls, min(watch.seconds, lasted), elapsed) from exc
