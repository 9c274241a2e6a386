"""What the commands' help is made of: examples first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path)


class Examples(click.Command):
    """A command whose help begins with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the rest."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write_text(example)
            formatter.write_paragraph()
        super().format_help(ctx, formatter)


class ExampleGroup(click.Group):
    """A group whose help begins with examples."""

    command_class = Examples

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the rest."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write_text(example)
        formatter.write_paragraph()
        super().format_help(ctx, formatter)


class Address(click.Option):
    """An option whose help names the transports that are installed; they are looked up when help is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help, the transports at its end."""
        from dualtap_transports.survey import usable

        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1]} Installed here: {', '.join(usable())}.")


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON; amounts in minor units.")
