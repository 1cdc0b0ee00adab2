"""Loads a rule, or any other object, from the text of a user's file.

The module's name holds the text's hash. So the text is all that a search must keep or send, and two versions of a file
are two modules.
"""

from __future__ import annotations

import hashlib
import io
import linecache
import pathlib
import sys
import tokenize
import traceback
import types

from policies.errors import PolicyError, nearest
from policies.extensions import FILE, check_class, told
from policies.policy import Policy
from policies.text_file import read_user_bytes

_LONGEST_FILE = 30_000  # characters; the text is sent, escaped, in a job's environment, which holds 128 KiB


def load_policy_class(reference: str, folder: str | pathlib.Path = ".") -> type[Policy]:
    """Load the class that `my_rules.py:MyRule` names, without registering it.

    Args:
        reference: a file and a class in it.
        folder: the folder that the file's path is relative to.

    Raises:
        PolicyError: there is no such file or class, the file fails, or the class is not a complete rule.
    """
    return policy_from_source(*read_source(reference, folder))


def read_source(
    reference: str, folder: str | pathlib.Path = ".", *, what: str = "rule", example: str = "my_rules.py:MyRule"
) -> tuple[str, str]:
    """Read the file of a reference; return the origin (`my_rules.py:MyRule`, without folders) and the file's text.

    Args:
        reference: a file and a name in it.
        folder: the folder that the file's path is relative to.
        what: the kind of the named object, for messages.
        example: an example of such a reference, for messages.

    Raises:
        PolicyError: the reference is malformed, or the file cannot be read or is too long.
    """
    file, _, name = reference.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        kind = "FUNCTION" if what in ("KPI", "function") else "CLASS"
        raise PolicyError(f"a {what} of your own is given as FILE.py:{kind}, like {example}, but got {reference!r}.")
    path = pathlib.Path(folder) / pathlib.Path(file).expanduser()
    try:
        content = io.BytesIO(read_user_bytes(path))
        encoding, _ = tokenize.detect_encoding(content.readline)  # the one that its first lines name, or UTF-8
        content.seek(0)
        text = io.TextIOWrapper(content, encoding).read()
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PolicyError(f"cannot read {str(path)!r}, named by {reference!r}: {reason}.") from error
    if len(text) > _LONGEST_FILE:
        raise PolicyError(
            f"{str(path)!r} must have at most {_LONGEST_FILE:,} characters, since each search keeps a copy, but has"
            f" {len(text):,}; keep the {what} in a file of its own."
        )
    return f"{path.name}:{name}", text


def policy_from_source(origin: str, text: str) -> type[Policy]:
    """Return the class that an origin names in a file's text; the same text gives the same class.

    Raises:
        PolicyError: as `load_policy_class`, except for errors in reading the file.
    """
    file, _, name = origin.rpartition(":")
    module = load_module(file, text)
    found = vars(module).get(name)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Policy)]
        own = [key for key in classes if vars(module)[key].__module__ == module.__name__]
        raise PolicyError(f"{file} has no class {name!r}; rules in it: {', '.join(own) or 'none'}.{nearest(name, own)}")
    check_class(found)
    policy: type[Policy] = found
    return policy


def load_module(file: str, text: str) -> types.ModuleType:
    """Run a text as a module; the same text gives the same module.

    Raises:
        PolicyError: the text is no Python, or fails.
    """
    name = "kd_own_policy_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    if name in sys.modules:
        return sys.modules[name]
    module = types.ModuleType(name)
    sys.modules[name] = module  # `dataclass` looks up the names in annotations there
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # for tracebacks
    vars(module)[FILE] = file
    try:
        exec(compile(text, file, "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        del sys.modules[name]  # also after an interruption: a half-loaded module must not stay
        if isinstance(error, Exception | SystemExit):
            raise PolicyError(_explain(file, error)) from error
        raise
    return module


def _explain(file: str, error: BaseException) -> str:
    """Say what went wrong in the user's file, and in which line."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{file}, line {error.lineno}, is not valid Python: {error.msg}: `{(error.text or '').strip()}`."
    where = line_in(file, error)
    hint = (
        " Only this file is copied: it may import installed packages, but not files beside it."
        if isinstance(error, ImportError)
        else ""
    )
    return f"{file}{where}{',' if where else ''} failed when it was loaded: {told(error)}.{hint}"


def line_in(file: str, error: BaseException) -> str:
    """Return `, line 3 (`x = 1 / 0`)`: the user's own line that raised an error; empty if none did."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", line {frames[-1].lineno} (`{frames[-1].line}`)" if frames else ""
