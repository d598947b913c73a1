"""The commands of a group, for tests that look at all of them."""

from __future__ import annotations

import click

__all__ = ["commands_of"]


def commands_of(group: click.Group) -> list[click.Command]:
    """Every command, imported."""
    context = click.Context(group)
    found = [group.get_command(context, name) for name in group.list_commands(context)]
    return [each for each in found if each is not None]
