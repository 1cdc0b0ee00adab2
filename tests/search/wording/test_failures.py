"""The texts are those that Ray 2.60 gave for trainings that ended in these ways."""

import pytest

from search.wording.failures import failure_reason

TRACEBACK = """\x1b[36mray::DistillationTrial.train()\x1b[39m (pid=2186, ip=127.0.0.1, actor_id=43247550)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/me/trial.py", line 8, in step
    raise ValueError("first line\\n  indented\\nlast line")
                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""
DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
\tpid: 2186
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: """
GUESSES = (
    " Some common causes include: (1) the process was killed by the OOM killer due to high memory usage, (2) ray stop"
    " --force was called, or (3) the worker crashed unexpectedly due to SIGSEGV or another unexpected error."
)
OUT_OF_MEMORY = """1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 127.0.0.1) was
1.99GB used / 23.54GB limit (0.084435)
OOM kill reason: Memory usage 2134220800B exceeded threshold of 252765008B (1.0% of 25276502016B limit)
Top 10 memory users: PID\tMEM(GB)\tCOMMAND
2543\t0.07\tpython train.py
"""


LOST = "The actor died unexpectedly before finishing this task.\nThe actor died because its node has died. Node Id: 1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{TRACEBACK}ValueError: first line\n  indented\nlast line", "ValueError: first line"),
        (f"{TRACEBACK}trainables.errors.ConfigError: it failed.", "it failed."),
        (f"{TRACEBACK}torch.OutOfMemoryError: CUDA out of memory.", "torch.OutOfMemoryError: CUDA out of memory."),
        (f"The actor died because of an error raised in its creation task, {TRACEBACK}IOError: no", "IOError: no"),
        (f"{DIED}Worker unexpectedly exits with a connection error code 2. End of file.{GUESSES}", "memory ran out"),
        (f"{DIED}Worker exits unexpectedly. Worker exits with an exit code 4.", "with exit code 4"),
        ("The worker died unexpectedly while executing this task. Check python-core-worker-*.log", "memory ran out"),
        (LOST, "the machine that ran it was lost"),
        (OUT_OF_MEMORY, "Ray ended its process, since the machine ran low on memory"),
        ("", "no message"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("retried", [False, True])
def test_every_kind_of_failure_is_one_line_that_names_its_cause(text, reason, retried):
    if retried:
        head = "Failure # {} (occurred at 2026-11-30_22-13-31)\n"
        text = f"{head.format(1)}{TRACEBACK}OSError: an earlier failure\n{head.format(2)}{text}\n"
    found = failure_reason(text)
    assert reason in found
    assert "\n" not in found
    assert "earlier" not in found


def test_a_long_reason_is_cut_where_it_no_longer_fits():
    found = failure_reason(f"{TRACEBACK}ValueError: {'x ' * 1000}")
    assert found.startswith("ValueError: x x")
    assert len(found) <= 400
    assert found.endswith("…")
