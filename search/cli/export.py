"""`kd-search export`."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from search.cli.actions import source_of
from search.cli.options import launch_of, places
from search.errors import SearchError
from search.run import read_record
from search.settings import Launch, next_command
from search.store import SearchStore


@click.command()
@click.argument("source", metavar="NAME|policy.json")
@click.option("--onnx", is_flag=True, help="Write student.onnx; needs the extra `onnx`.")
@click.option("--torch-export", is_flag=True, help="Write student.pt2, which PyTorch runs without this package.")
@click.option("--rule", is_flag=True, help="Write rule.py, the rule as plain PyTorch.")
@places
def export(source: str, onnx: bool, torch_export: bool, rule: bool, **places: Any) -> None:
    """Write a confirmed search's champion as files that need nothing of this package.

    Without an option, all of them are written into the search's folder `champion`, as far as possible. For a
    policy.json, the rule is printed as plain PyTorch.
    """
    path = pathlib.Path(source)
    if path.suffix == ".json":
        if onnx or torch_export:
            raise click.UsageError("a policy.json holds a rule and no student; give the name of a confirmed search.")
        click.echo(_plain(path), nl=False)
        return
    _export_search(source, launch_of(places), onnx=onnx, torch_export=torch_export, rule=rule)


def _plain(path: pathlib.Path) -> str:
    from policies.document import read_document
    from policies.plain.writing import plain_rule
    from policies.registry import create_policy

    document = read_document(path)
    smoothing = (document.get("training") or {}).get("label_smoothing", 0.0)
    policy = create_policy(document["family"], document["parameters"])
    return plain_rule(policy, temperature=float(document["temperature"]), label_smoothing=float(smoothing))


def _export_search(name: str, launch: Launch, *, onnx: bool, torch_export: bool, rule: bool) -> None:
    """Write what the options name; all of it if they name nothing.

    Raises:
        SearchError: the search has no champion.
        ExportError: ONNX is asked for, and its extra is missing.
        SystemExit: with code 1 if something that was asked for could not be written.
    """
    from trainables.exports import check_extra, has_onnx

    if onnx:
        check_extra()
    everything = not (onnx or torch_export or rule)
    record, store = read_record(name, launch), SearchStore(launch.storage, name)
    from search.confirm import FILES, Format
    from search.run import publish_champion, publish_exports  # takes seconds

    folder = publish_champion(record, store, launch)
    judgement = source_of(name, launch).judgement if folder is None else None
    if judgement is not None and judgement.lacks_champion:
        raise SearchError(f"the search {name!r} has no champion to export. {judgement.answer.headline}")
    if folder is None:
        raise SearchError(
            f"the search {name!r} has no champion to export, since only a confirmation names one. Confirm it:"
            f" `{next_command('confirm', name, launch)}`. A rule alone is exported from its file: kd-search export"
            f" {launch.output / name / 'report' / 'policy.json'}"
        )
    formats: list[Format] = []
    if torch_export or everything:
        formats.append("torch-export")
    if onnx or (everything and has_onnx()):
        formats.append("onnx")
    problems = list(publish_exports(record, store, launch, formats))
    if everything and not has_onnx():
        problems.append(
            f'{FILES["onnx"]} is not written: pip install "kd-policy-search[onnx]", then repeat this command'
        )
    written = [FILES[form] for form in formats if (folder / FILES[form]).is_file()]
    written += ["rule.py"] if (rule or everything) and (folder / "rule.py").is_file() else []
    for file in written:
        click.echo(str(folder / file))
    for problem in problems:
        click.echo(problem, err=True)
    if rule and "rule.py" not in written:
        click.echo(f"rule.py is not written; {folder / 'README.md'} says why", err=True)
    if (not everything and problems) or (rule and "rule.py" not in written):
        raise SystemExit(1)
