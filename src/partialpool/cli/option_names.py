"""Option names that were not understood, and those that may have been meant."""

from __future__ import annotations

import click


class SuggestingCommand(click.Command):
    """A command that suggests the options whose initials were written: ``--standard-error`` for ``--se``.

    click alone suggests what looks alike: of ``--se`` that is ``--sd``, ``--seed`` and ``--size``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return the arguments left over; raises ``click.NoSuchOption`` with the names that may have been meant."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            asked = error.option_name
            names = [name for parameter in self.params for name in parameter.opts if name.startswith("--")]
            meant = [f"'{name}'" for name in names if _initials(name) == asked.lstrip("-")]
            if not meant:
                raise
            message = f"No such option '{asked}'. Did you mean {' or '.join(meant)}?"
            raise click.NoSuchOption(asked, message, ctx=ctx) from None


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.strip("-").split("-"))
