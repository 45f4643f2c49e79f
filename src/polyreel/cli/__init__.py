"""The command line: verbs that are a few lines over a public function each, and nothing else.

Only this package prints, parses words and reads the environment. Whatever goes wrong for a user becomes one line on
standard error; results go to standard output, so that they can be piped. Nothing heavy is imported until a verb runs.
"""

import sys
from collections.abc import Sequence

from typer import Exit, TyperException

from polyreel.cli.app import app
from polyreel.errors import ItemsFailedError, PolyreelError

__all__ = ["main"]

DEBUG = "--debug"  # taken out here, so that it may stand behind any verb
DONE = 0
SOME_ITEMS_FAILED = 1
WRONG_CALL = 2
INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        words: the command line without the program's name; None: what the shell passed.

    Returns:
        The exit status: 0 done, 1 some items failed, 2 the call was wrong, 130 stopped by Ctrl-C.
    """
    words = sys.argv[1:] if words is None else list(words)
    is_debugging = DEBUG in words
    try:
        status = app(
            [word for word in words if word != DEBUG] or ["--help"], prog_name="polyreel", standalone_mode=False
        )
    except Exit as exit_request:
        return exit_request.exit_code
    except TyperException as error:
        return _tell(_with_hint(error), WRONG_CALL)
    except (PolyreelError, ValueError, OSError) as error:
        if is_debugging:
            raise
        return _tell(_one_line(error), SOME_ITEMS_FAILED if isinstance(error, ItemsFailedError) else WRONG_CALL)
    return _tell("stopped; what was finished is kept", INTERRUPTED) if status == INTERRUPTED else status or DONE


def _tell(message: str, status: int) -> int:
    print(f"polyreel: {message}", file=sys.stderr)
    return status


def _with_hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)  # which verb it was, if the words went that far
    return error.format_message() + ("" if context is None else f" (see `{context.command_path} --help`)")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    return str(error)
