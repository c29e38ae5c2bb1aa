"""
Settings of the programs: defaults < configuration file < environment < command line.

One declaration per setting (a click option) gives all four. Options may be written `-name=value` as
bitcoind's are. The file `<datadir>/<program>.conf` has lines `name = value`; unknown names are refused, there
and in the environment (`PODL_MINER_RPCPORT` stands for `--rpcport` of podl-miner).
"""

from __future__ import annotations

import configparser
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from podl_tools.chain.node import Node
from podl_tools.chain.rpc import HttpTransport, Login
from podl_tools.log import LEVELS, set_up_logging
from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ServiceCommand",
    "Wrapped",
    "common_options",
    "connect",
    "node_options",
    "option",
    "rpc_options",
    "start_logging",
]

_LOGGER = logging.getLogger(__name__)
_SECTION: Final = "settings"
_MAX_PORT: Final = 65535
_REGTEST_RPC_PORT: Final = 18443

Wrapped = TypeVar("Wrapped", bound="Callable[..., Any]")


def option(name: str, **attributes: Any) -> Callable[[Wrapped], Wrapped]:
    """Declare a setting; its default is shown by `--help`."""
    return click.option(f"--{name}", **{"show_default": attributes.get("default") is not None, **attributes})


class ServiceCommand(click.Command):
    """
    A command whose options also come from a file and the environment.

    The program's name (`podl-miner`) gives the file's name and the prefix of the environment variables.

    Parameters
    ----------
    program
        Name of the program.
    reads_file
        Whether this command reads the configuration file.

    """

    def __init__(self, *args: Any, program: str, reads_file: bool = True, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._program = program
        self._reads_file = reads_file
        self._prefix = program.upper().replace("-", "_")
        if not reads_file:
            self.params = [parameter for parameter in self.params if parameter.name != "conf"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read file and environment, then the command line."""
        arguments = [_double_dash(argument) for argument in args]
        ctx.auto_envvar_prefix = self._prefix
        given, _, _ = self.make_parser(ctx).parse_args(args=list(arguments))
        if not set(self.get_help_option_names(ctx)) & set(arguments):
            self._refuse_unknown_environment()
            if self._reads_file:
                ctx.default_map = self._read_file(given)
        return super().parse_args(ctx, arguments)

    def _names(self) -> set[str]:
        return {parameter.name for parameter in self.params if parameter.name is not None}

    def _refuse_unknown_environment(self) -> None:
        if not self._reads_file:
            return  # other commands of the program have other names
        for variable in os.environ:
            name = variable.removeprefix(f"{self._prefix}_")
            if name != variable and name.lower() not in self._names():
                raise click.UsageError(f"unknown environment variable {variable}")

    def _read_file(self, given: dict[str, Any]) -> dict[str, Any]:
        conf = given.get("conf") or os.environ.get(f"{self._prefix}_CONF")
        if conf is None:
            path = Path(self._initial("datadir", given)).expanduser() / f"{self._program}.conf"
            return self._parse_file(path) if path.exists() else {}
        return self._parse_file(Path(conf))

    def _initial(self, name: str, given: dict[str, Any]) -> str:
        value = given.get(name) or os.environ.get(f"{self._prefix}_{name.upper()}")
        return value or next(str(parameter.default) for parameter in self.params if parameter.name == name)

    def _parse_file(self, path: Path) -> dict[str, Any]:
        parser = configparser.ConfigParser(
            interpolation=None,
            inline_comment_prefixes=("#",),
            delimiters=("=",),
            default_section="",  # else [DEFAULT] would be taken
        )
        try:
            parser.read_string(f"[{_SECTION}]\n{path.read_text(encoding='utf-8')}", source=str(path))
        except OSError as error:
            raise click.UsageError(f"configuration file {path}: {error.strerror}") from None
        except (configparser.Error, UnicodeDecodeError) as error:
            raise click.UsageError(f"configuration file {path}: {_parse_problem(error)}") from None
        if parser.sections() != [_SECTION]:
            raise click.UsageError(f"configuration file {path}: sections are not used")
        several = {parameter.name for parameter in self.params if getattr(parameter, "multiple", False)}
        values: dict[str, Any] = {}
        for name, value in parser[_SECTION].items():
            if name not in self._names() - {"conf", "help"}:
                raise click.UsageError(f"configuration file {path}: unknown setting {name!r}")
            values[name] = value.split() if name in several else value
        return values


def _parse_problem(error: configparser.Error | UnicodeDecodeError) -> str:
    """Where it is and what; never the line itself, for it may hold a password."""
    match error:
        case configparser.ParsingError():
            return f"line {error.errors[0][0] - 1} is not `name = value`"  # less the section we put before
        case configparser.DuplicateOptionError():
            return f"{error.option!r} is set twice"
        case UnicodeDecodeError():
            return "not UTF-8"
    return "sections are not used"


def _double_dash(argument: str) -> str:
    return f"-{argument}" if len(argument) > 2 and argument[0] == "-" and argument[1].isalpha() else argument  # noqa: PLR2004


def common_options(default_datadir: str) -> Callable[[Wrapped], Wrapped]:
    """Declare data directory, configuration file and logging."""

    def wrap(function: Wrapped) -> Wrapped:
        for add in (
            option("loglevel", type=click.Choice(LEVELS), default="info", help="How much is logged."),
            option(
                "logfile", type=click.Path(path_type=Path), help="File that log lines are also appended to."
            ),
            option(
                "conf", type=click.Path(path_type=Path), help="Configuration file.  [default: in the datadir]"
            ),
            option(
                "datadir", type=click.Path(path_type=Path), default=default_datadir, help="Data directory."
            ),
        ):
            function = add(function)
        return function

    return wrap


def node_options(function: Wrapped) -> Wrapped:
    """Declare how the node is reached and watched."""
    for add in (
        option(
            "pollinterval",
            type=click.FloatRange(0.05),
            default=5.0,
            help="Seconds between looks at the node.",
        ),
        option(
            "zmqpubpodl",
            metavar="ADDRESS",
            help="What bitcoind was given as -zmqpubpodl; news then comes at once.",
        ),
        rpc_options,
    ):
        function = add(function)
    return function


def rpc_options(function: Wrapped) -> Wrapped:
    """Declare how the node is reached; names as bitcoin-cli has them."""
    for add in (
        option(
            "rpcclienttimeout", type=click.FloatRange(1), default=60.0, help="Seconds to wait for an answer."
        ),
        option("rpccookiefile", type=click.Path(path_type=Path), help="Cookie file of the node."),
        option("rpcpassword", help="Password of --rpcuser; better kept in the configuration file."),
        option("rpcuser", help="RPC user."),
        option(
            "rpcport",
            type=click.IntRange(1, _MAX_PORT),
            default=_REGTEST_RPC_PORT,
            help="RPC port of the node.",
        ),
        option("rpcconnect", metavar="HOST", default="127.0.0.1", help="Host of the node."),
    ):
        function = add(function)
    return function


def connect(settings: dict[str, Any]) -> Node:
    """
    Take the node's settings out of `settings` and make a client; nothing is sent yet.

    Raises
    ------
    SettingsError
        Neither a cookie file nor user and password were given, or both.

    """
    cookie, user = settings.pop("rpccookiefile"), settings.pop("rpcuser")
    password = settings.pop("rpcpassword")
    if (cookie is None) == (user is None) or (user is None) != (password is None):
        raise SettingsError(
            "give either --rpccookiefile (a running bitcoind writes it, such as ~/.bitcoin/regtest/.cookie), "
            "or --rpcuser and --rpcpassword"
        )
    login = Login(cookie.expanduser()) if cookie is not None else Login(None, user, password)
    host = settings.pop("rpcconnect")
    bracketed = f"[{host}]" if ":" in host else host
    url = f"http://{bracketed}:{settings.pop('rpcport')}/"
    return Node(HttpTransport(url, login, settings.pop("rpcclienttimeout")))


def start_logging(settings: dict[str, Any]) -> None:
    """Take the logging settings out of `settings` and apply them; the configuration file has been read."""
    settings.pop("conf", None)
    set_up_logging(settings.pop("loglevel"), settings.pop("logfile"))
    settings["datadir"] = settings["datadir"].expanduser()
