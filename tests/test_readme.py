"""The README's code and commands run as shown."""

import json
import pathlib
import re
import shlex

import pytest
import torch

from policies import FAMILIES, create_policy, policy_document

README = pathlib.Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_three_lines_train_a_student(family, tmp_path, monkeypatch):
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    document = policy_document(create_policy(family), temperature=2.0)
    pathlib.Path("policy.json").write_text(json.dumps(document), encoding="utf-8")
    torch.manual_seed(0)
    images = torch.randn(64, 10)
    teacher = torch.nn.Linear(10, 3)
    labels = teacher(images).argmax(dim=1)
    student = torch.nn.Linear(10, 3)
    data = torch.utils.data.TensorDataset(images, labels)

    def accuracy():
        return (student(images).argmax(dim=1) == labels).float().mean().item()

    before = accuracy()
    exec(
        snippet,
        {
            "torch": torch,
            "student": student,
            "teacher": teacher,
            "epochs": 20,
            "loader": torch.utils.data.DataLoader(data, batch_size=16),
            "optimizer": torch.optim.Adam(student.parameters(), lr=0.05),
        },
    )
    assert accuracy() > max(before, 0.9)


def test_the_lines_of_ones_own_search_work_one_after_the_other(tmp_path, monkeypatch):
    """The search itself would take minutes; its settings and its name are checked instead."""
    from click.testing import CliRunner

    from search.cli.program import cli
    from search.recipes import recipe_names
    from search.settings.search_file import SearchConfig, load_config

    text = README.read_text(encoding="utf-8").partition("## Search your own training")[2]
    block, own = re.findall(r"```sh\n(.*?)```", text.partition("\n## ")[0], flags=re.DOTALL)
    assert "kd-search run examples/plain_pytorch.toml" in own  # tests/examples/test_functions.py tries it
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert lines[0] == [".", ".venv/bin/activate"]
    assert {line[0] for line in lines[1:]} == {"kd-search"}
    searched: list[SearchConfig] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.cli.search.search_with", lambda config, *_, **__: searched.append(config))
    for _, *arguments in lines[1:-1]:
        command, _, file = (" ".join(arguments)).partition(" > ")
        done = CliRunner().invoke(cli, command.split())
        assert done.exit_code == 0, (command, done.output)
        if file:
            pathlib.Path(file).write_text(done.stdout, encoding="utf-8")
    (config,) = searched
    assert config.replicates == 5
    assert config.name not in {load_config(name).name for name in recipe_names()}, "`make search` has made one so named"
    assert lines[-1] == ["kd-search", "report", config.name]
