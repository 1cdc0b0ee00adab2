"""The functions of the example scripts and of the page on loops of one's own, as a search would use them."""

import pathlib

import pytest

from search.prepare import rehearse
from search.settings import load_config
from search.settings.launch import Launch
from tests.examples.loading import EXAMPLES
from tests.search.tiny import QuietListener

RESUMES_NOT = "An interrupted training begins again from its first step, since nothing was saved by `run.save`."


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.parametrize("name", ["plain_pytorch", "lightning_module", "hf_trainer"])
def test_an_example_script_can_be_searched_and_repeated(name, tmp_path):
    found = rehearse(
        load_config(str(EXAMPLES / f"{name}.toml")),
        Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test"),
        QuietListener(),
    )
    assert found.repeatable
    assert RESUMES_NOT in found.remarks


def test_the_page_shows_a_function_that_works(tmp_path):
    text = pathlib.Path("docs/your-own-loop.md").read_text()
    (tmp_path / "train.py").write_text(text.split("```python\n")[1].split("```")[0])
    (tmp_path / "train.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    config = load_config(str(tmp_path / "train.toml"))
    found = rehearse(config, Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test"), QuietListener())
    assert found.repeatable
    assert found.remarks == (RESUMES_NOT,)


@pytest.mark.parametrize("name", ["plain_pytorch", "lightning_module", "hf_trainer"])
def test_eight_lines_make_a_script_searchable(name):
    lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
    begin = lines.index("def distil(run: Run) -> None:")
    end = lines.index("def main() -> None:")
    body = [line for line in lines[begin:end] if line]
    imported = [line for line in lines if "trainables" in line]
    assert len(body) + len(imported) <= 8
