"""Options of the program work before the command and after it.

Words of a command line are put in order before they are read: options of the program first. An
option that a command has itself stays where it is.
"""

from collections.abc import Mapping, Sequence

import click

_Options = Mapping[str, click.Option]


class DefaultGroup(click.Group):
    """A group that gives its words to the command `default`, unless the first names another."""

    default = ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front of words that name none."""
        names = {*self.commands, *ctx.help_option_names}
        return super().parse_args(
            ctx, args if not args or args[0] in names else [self.default, *args]
        )


def shared(root: click.Context) -> dict[str, click.Option]:
    """Return the options of the program by their names; `--version` and `--help` are none."""
    return {
        name: option for name, option in _options(root.command, root).items() if option.expose_value
    }


def in_front(root: click.Context, words: Sequence[str]) -> list[str]:
    """Return the words of a command line with the options of the program first."""
    first, rest = list[str](), list[str]()
    ours = shared(root)
    command: click.Command | None = root.command
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            rest += words[at:]
            break
        if not _is_option(word):
            if isinstance(command, click.Group):
                command = _next(command, root, word)
            rest.append(word)
            at += 1
            continue
        command = _with_option(command, root, word)
        options = _options(command, root) if command else {}
        is_own = command is not root.command and _known(word, options)
        is_ours = not is_own and _known(word, ours)
        length = 1 + _values(word, options if is_own else ours if is_ours else {})
        if is_ours and at + length > len(words) and not root.resilient_parsing:
            raise click.BadOptionUsage(word, f"Option '{word}' requires an argument.", root)
        (first if is_ours else rest).extend(words[at : at + length])
        at += length
    return first + rest


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1


def _options(command: click.Command, root: click.Context) -> dict[str, click.Option]:
    options = [param for param in command.get_params(root) if isinstance(param, click.Option)]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def _next(group: click.Group, root: click.Context, word: str) -> click.Command | None:
    """Return the command that a word names, or the one that takes all other words."""
    if word not in group.commands and isinstance(group, DefaultGroup):
        return group.commands[group.default]
    return group.get_command(root, word)


def _with_option(
    command: click.Command | None, root: click.Context, word: str
) -> click.Command | None:
    """Return the default command of a group where the option is one of that."""
    if isinstance(command, DefaultGroup):
        default = command.commands[command.default]
        if not _known(word, _options(command, root)) and _known(word, _options(default, root)):
            return default
    return command


def _known(word: str, options: _Options) -> bool:
    """Whether a word is one of the options, or several of them in one: `-qs`."""
    if word.startswith("--"):
        return word.partition("=")[0] in options
    for letter in word[1:]:
        option = options.get(f"-{letter}")
        if option is None:
            return False
        if not _is_flag(option):  # what follows is its value
            return True
    return True


def _values(word: str, options: _Options) -> int:
    """Count the words after this one that are values of the option."""
    if word.startswith("--"):
        option = options.get(word)  # --option=VALUE holds its value
        return 0 if option is None or _is_flag(option) else option.nargs
    for letter, behind in zip(word[1:], [*word[2:], ""], strict=True):
        option = options.get(f"-{letter}")
        if option is None:
            return 0
        if not _is_flag(option):
            return 0 if behind else option.nargs
    return 0


def _is_flag(option: click.Option) -> bool:
    return option.is_flag or option.count


def hint(ctx: click.Context) -> str:
    """Return the line in a command's help that names the options of the program."""
    root = ctx.find_root()
    own = _options(ctx.command, ctx)
    named = dict.fromkeys(
        max(option.opts, key=len) for name, option in shared(root).items() if name not in own
    )
    return (
        f"Options of every command, before or after it: {', '.join(named)}. "
        f"'{root.command_path} --help' describes them."
    )
