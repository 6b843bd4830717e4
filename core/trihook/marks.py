"""How a plugin marks its hooks: pluggy's options, and three that save the core time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pluggy

if TYPE_CHECKING:
    from trihook.types import Model, ScoringRequest

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "trihook_marks"


@dataclass(frozen=True, slots=True)
class Marks:
    """What an implementation says of itself beyond pluggy's options.

    ``models`` tells for which models it is to be asked; ``quick_below`` is the size in bytes
    below which it is quick, ``quick_for`` tells for which requests of such a size.
    """

    models: Callable[[Model], bool] | None = None
    quick_below: int = 0
    quick_for: Callable[[ScoringRequest], bool] | None = None


class HookimplMarker:
    """Marks functions as implementations of a project's hooks.

    ``specname`` names the hook where the function is called otherwise; ``tryfirst`` and
    ``trylast`` order the implementations; ``wrapper`` makes one that goes around the others.
    All four are pluggy's. Three more save time, and change no answer:

    ``models`` is a function of a model: the implementation is asked only for models for which it
    is true. It is called once for each model, not for each item. (``select_model`` knows no model
    yet, and takes no notice.)

    ``quick_below`` is a number of bytes. Hooks run in native threads, so that one that computes
    holds nobody up; handing over costs about as much as a quick hook does. An implementation
    whose time is well under a millisecond for any input below this size, and which never waits,
    is called at once where all others that may answer are quick as well. The size is that of
    the request's body or, for ``postprocess``, of the outputs.

    ``quick_for`` is a function of a request, for an implementation whose time its size does not
    bound: it is then quick only for requests for which this is true. It is asked at each hook,
    below the size alone, and where nothing else goes on meanwhile: a microsecond is what it may
    take. One that raises has said no.
    """

    def __init__(self, project_name: str) -> None:
        self.project_name = project_name
        self._mark = pluggy.HookimplMarker(project_name)

    @overload
    def __call__(self, function: F) -> F: ...

    @overload
    def __call__(
        self,
        *,
        specname: str | None = None,
        tryfirst: bool = False,
        trylast: bool = False,
        wrapper: bool = False,
        models: Callable[[Model], bool] | None = None,
        quick_below: int = 0,
        quick_for: Callable[[ScoringRequest], bool] | None = None,
    ) -> Callable[[F], F]: ...

    def __call__(
        self,
        function: F | None = None,
        *,
        models: Callable[[Model], bool] | None = None,
        quick_below: int = 0,
        quick_for: Callable[[ScoringRequest], bool] | None = None,
        **options: Any,
    ) -> F | Callable[[F], F]:
        """Mark a function; raises ``TypeError`` for a mark that is none."""
        if models is not None and not callable(models):
            raise TypeError(f"models is a function of a model, not {models!r}")
        if quick_for is not None and not callable(quick_for):
            raise TypeError(f"quick_for is a function of a request, not {quick_for!r}")
        if not isinstance(quick_below, int):
            raise TypeError(f"quick_below is a number of bytes, not {quick_below!r}")
        if quick_for is not None and quick_below <= 0:
            raise TypeError("quick_for needs quick_below: it is asked for sizes below that alone")
        if function is not None and not callable(function):
            raise TypeError(f"hookimpl marks a function, not {function!r}")

        def mark(function: F) -> F:
            setattr(function, _ATTRIBUTE, Marks(models, quick_below, quick_for))
            marked: F = self._mark(**options)(function)
            return marked

        return mark if function is None else mark(function)


def marks_of(function: Callable[..., object]) -> Marks:
    """Return the marks of an implementation; none where pluggy's own marker was used."""
    marks = getattr(function, _ATTRIBUTE, None)
    return marks if isinstance(marks, Marks) else Marks()
