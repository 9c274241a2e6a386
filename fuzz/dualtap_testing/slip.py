"""A slip: a line of production code that a maintainer could get wrong, as data.

The function that holds the line gets the code of a copy with the wrong line, in place: whoever imported it has it too.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple, cast


class Slip(NamedTuple):
    """One wrong line: what is wrong then, the function or property that holds it, and what ``old`` there becomes.

    ``elsewhere`` says why no life can find it, and which net does; empty for what the simulator must find. It is looked
    for in lives of ``seed``.
    """

    what: str
    where: Callable[..., Any] | property
    old: str
    new: str
    elsewhere: str = ""
    seed: int = 1

    @contextmanager
    def planted(self) -> Generator[None]:
        """Break the code while this lasts; raise ``LookupError`` if the line is not there just once."""
        function = self._function()
        before = function.__code__
        function.__code__ = self._wrong(function)
        try:
            yield
        finally:
            function.__code__ = before

    def _function(self) -> FunctionType:
        found = self.where.fget if isinstance(self.where, property) else self.where
        return cast("FunctionType", inspect.unwrap(cast("Callable[..., Any]", found)))

    def _wrong(self, function: FunctionType) -> CodeType:
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(self.old) != 1:
            raise LookupError(f"{function.__qualname__} has {source.count(self.old)} times: {self.old}")
        whole = compile(source.replace(self.old, self.new), function.__code__.co_filename, "exec", dont_inherit=True)
        return next(one for one in whole.co_consts if isinstance(one, CodeType) and one.co_name == function.__name__)
