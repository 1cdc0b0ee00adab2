"""The three example tasks, as a search would use them."""

import pathlib

import pytest

from search.prepare import rehearse
from search.settings import load_config
from search.settings.launch import Launch
from tests.examples.loading import EXAMPLES
from tests.search.tiny import QuietListener


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("table", "2,979 training, 3,473 validation people of 9, 5 classes"),
        ("tokens", "1,500 training, 2,000 validation pieces of 64, 6 classes"),
        ("regression", "100 training, 90 validation patients of 10"),
    ],
)
def test_an_example_task_is_right_and_repeatable(name, sets, tmp_path):
    config = load_config(str(EXAMPLES / f"{name}.toml"), ["training.epochs=2"])
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")
    listener = QuietListener()
    found = rehearse(config, launch, listener)
    assert found.repeatable
    assert sets in listener.stages
    assert not any("warning" in stage for stage in listener.stages)


def test_the_page_shows_a_task_that_works(tmp_path):
    text = pathlib.Path("docs/your-own-training.md").read_text()
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    (tmp_path / "digits_task.py").write_text(blocks[0])
    (tmp_path / "digits.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    config = load_config(str(tmp_path / "digits.toml"), ["training.epochs=2"])
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")
    listener = QuietListener()
    assert rehearse(config, launch, listener).repeatable
    assert "300 training, 500 validation samples of 64, 10 classes" in listener.stages
