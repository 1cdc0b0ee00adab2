"""Settings that hold for all tests."""

import os
import signal
import threading

# The shell's settings of colours, widths, servers and clusters must not reach the tests. They are removed first, since
# some libraries read them when they are imported.
_TERMINAL = {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
_CLUSTER = {"RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"}
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
_PREFIXES = ("MLFLOW_", "KD_SEARCH_", "TUNE_")

for _name in list(os.environ):
    if _name.upper() in _TERMINAL | _CLUSTER | _PROXIES or _name.startswith(_PREFIXES):
        del os.environ[_name]

# A shell's background jobs ignore SIGINT, and so would the processes that tests start.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis  # noqa: E402
import torch  # noqa: E402

# Every run has the same examples, so that a test fails only because of a change.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

# Students here are tiny: a second thread gains nothing. On a busy machine waiting for it costs many times the work.
torch.set_num_threads(1)
