"""Offers a search and its findings to Python code: answer, tables, figures, rule, and what can be done next."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group, RenderableType
from rich.jupyter import JupyterMixin
from rich.text import Text

from policies import Policy, create_policy
from search.cluster import check_cluster, in_ray_job
from search.errors import SearchError
from search.evidence import Judgement, Recommended, importances
from search.progress import listener_for
from search.records import ConfirmationRecord, Listener, SearchRecord
from search.run.before import check_start, read_record
from search.run.publish import publish_confirmation, publish_report, publish_transfer, report_source
from search.settings import Launch, SearchConfig, SearchSource, TransferSettings, given_config
from search.store import SearchStore, check_config, grown
from search.wording import count

if TYPE_CHECKING:
    import pandas

    from search.drawing import Figure
    from search.evidence import Answer, TransferFindings

_WIDTH = 100
"""The width of the report as text, in columns."""


class Search(JupyterMixin):
    """One search, whatever its state: what it found so far, and how to continue it.

    It shows what was stored when it was opened, resumed or confirmed last. `print` gives the report as text; in a
    notebook a cell that ends with it shows the same.

    Args:
        name: of a search that has begun.
        launch: its places.

    Raises:
        SearchError: there is no such search, or it is damaged.
    """

    def __init__(self, name: str, launch: Launch) -> None:
        self.name = name
        self._launch = launch
        self._store = SearchStore(launch.storage, name)
        self._read()

    def _read(self) -> None:
        self._source = report_source(read_record(self.name, self._launch), self._launch)
        self._figures: dict[str, Figure] | None = None

    @property
    def record(self) -> SearchRecord:
        """The search as it is stored: its settings, data and trials."""
        return self._source.search

    @property
    def confirmation(self) -> ConfirmationRecord | None:
        """Its confirmation as it is stored, finished or not; None if none has begun."""
        return self._source.confirmation

    @property
    def config(self) -> SearchConfig:
        """Its settings."""
        return self.record.config

    @property
    def status(self) -> str:
        """`running`, `finished`, or `stopped` if it can be resumed."""
        return self.record.status

    @property
    def folder(self) -> str:
        """The folder or URI that holds its trials."""
        return self._store.uri

    @property
    def judgement(self) -> Judgement:
        """All conclusions as plain data."""
        return self._source.judgement

    @property
    def verdict(self) -> Answer:
        """The answer: the confirmation's once there is one, else the search's own. Printed, it is a paragraph."""
        return self.judgement.answer

    @property
    def recommended(self) -> Recommended:
        """The rule to train with: the verdict's once the search is confirmed, else the best trial's.

        Raises:
            SearchError: no trial has finished, or no finalist keeps every KPI gate.
        """
        found = self.judgement.recommended
        if found is None and self.judgement.lacks_champion:
            raise SearchError(f"the search {self.name!r} recommends no rule. {self.verdict.headline}")
        if found is None:
            failed = next((trial for trial in self.record.trials if trial.status == "failed"), None)
            why = "" if failed is None else f"; trial {failed.number} failed: {failed.error}"
            raise SearchError(f"no trial of the search {self.name!r} has finished{why}. Resume it, or run another one.")
        return found

    @property
    def policy(self) -> Policy:
        """A new policy with the recommended rule, for a `LossBalancer`.

        Raises:
            SearchError: no trial has finished.
            PolicyError: the rule is a user's own and is not registered here.
        """
        return create_policy(self.recommended.family, dict(self.recommended.parameters))

    @property
    def policy_document(self) -> dict[str, Any]:
        """The contents of its `policy.json`: the rule, the settings that it was found with, and the evidence.

        Raises:
            SearchError: no trial has finished.
        """
        return self.recommended.document

    @property
    def trials(self) -> pandas.DataFrame:
        """A line for each trial, best first: settings, parameters, score, metrics on the validation set, errors."""
        return self.tables["trials"]

    @property
    def tables(self) -> dict[str, pandas.DataFrame]:
        """The report's tables by name, with unrounded numbers; scores are such that higher is better."""
        from search.report import report_tables

        return {name: table.to_frame() for name, table in report_tables(self._source).items()}

    @property
    def figures(self) -> dict[str, Figure]:
        """The report's figures by name; a notebook shows a figure that a cell ends with. Drawing takes seconds."""
        if self._figures is None:
            from search.report import figure_groups

            groups = figure_groups(self._source, importances(self.record))
            self._figures = {figure.name: figure for group in groups for figure in group.figures}
        return self._figures

    def report(self) -> pathlib.Path:
        """Write the report's page, figures, numbers and policies; return the page's path.

        Raises:
            SearchError: a file cannot be written.
        """
        return publish_report(self.record, self._launch)

    def resume(
        self,
        overrides: Mapping[str, Any] | None = None,
        *,
        policies: Sequence[str] = (),
        progress: bool | Listener = True,
    ) -> Self:
        """Resume the search, or let a finished one grow; no trial that finished is run again.

        Args:
            overrides: settings that grow, by their dotted names: `{"trials_per_family": 12}`; also `budget`.
            policies: further rules of the user's own: `["my_rules.py:MyRule"]`.
            progress: True shows the progress, False does not; a listener receives the events.

        Raises:
            SearchError: it is running already, its inputs have changed, all of its trials failed, or a setting cannot
                change.
            KDPolicySearchError: data, teacher, cluster or tracking store is not available.
        """
        listener = listener_for(progress)
        config = grown(self._store.header_record(), overrides or {}, policies)
        check_start(config, self._launch, resume=True, grown=True)
        from search.run.search import resume_search  # takes seconds

        resume_search(self.name, self._launch, listener, config)
        return self.ended(listener)

    def ended(self, listener: Listener) -> Self:
        """Read the search after it has run; raise SearchError if all of its trials failed."""
        self._read()
        if self.record.all_failed:
            first = self.record.trials[0]
            raise SearchError(
                f"all {count(len(self.record.trials), 'trial')} of the search {self.name!r} failed. Trial"
                f" {first.number} ({first.family}): {first.error} `search.open({self.name!r}).trials` has all errors;"
                " mend the cause and search under another name."
            )
        if self.status == "stopped":
            listener.stage(f"the search {self.name!r} was stopped; `.resume()` resumes it")
        return self

    def confirm(
        self,
        *,
        seeds: int | None = None,
        families: Sequence[str] | None = None,
        student: str | None = None,
        more_constants: int | None = None,
        smallest_gain: float | None = None,
        progress: bool | Listener = True,
    ) -> Self:
        """Train the best rules and constants on fresh seeds, and judge them on the test set.

        Settings that are None keep the values that this confirmation began with, or that the search file's `confirm`
        has. An interrupted confirmation resumes.

        Args:
            seeds: fresh seeds for each finalist; a larger number adds seeds.
            families: the families to confirm.
            student: the student to confirm, if the search has several.
            more_constants: the most constants to retry with the best rules' settings.
            smallest_gain: the gain that is worth a rule: points of accuracy, or the KPI's unit.
            progress: True shows the progress, False does not; a listener receives the events.

        Raises:
            SearchError: the search has not finished, the confirmation began with other settings, or trainings failed.
            KDPolicySearchError: data, teacher or cluster is not available.
        """
        from search.confirm import confirm_search, settings_of  # takes seconds

        listener, given = listener_for(progress), None if families is None else list(families)
        settings = settings_of(
            self.config, self.confirmation, seeds=seeds, families=given, student=student, more_constants=more_constants,
            smallest_gain=smallest_gain,
        )  # fmt: skip
        check_config(self.config, self._launch)
        if self._launch.address is not None and not in_ray_job():
            check_cluster(self._launch.address)
        confirmed = confirm_search(self.name, self._launch, listener, settings)
        self._read()
        published = publish_confirmation(self.record, self._launch)
        for line in (*published.not_exported, *filter(None, [published.problem])):
            listener.stage(line)
        if confirmed.failed:
            unit, error = next(iter(confirmed.failed.items()))
            raise SearchError(
                f"{count(len(confirmed.failed), 'training')} of the confirmation of {self.name!r} failed; {unit.name}:"
                f" {error} Call `confirm()` again to retry."
            )
        if confirmed.interrupted:
            listener.stage("the confirmation was stopped; `.confirm()` resumes it")
        return self

    def transfer(
        self,
        scaled: SearchSource,
        overrides: Mapping[str, Any] | None = None,
        *,
        seeds: int | None = None,
        rules: int | None = None,
        retuned: int | None = None,
        constants: int | None = None,
        from_scaled: Sequence[str] | None = None,
        smallest_gain: float | None = None,
        progress: bool | Listener = True,
    ) -> TransferFindings:
        """Find out whether the choice of this search, a pilot, holds at full size; see `docs/transfer.md`.

        Settings that are None have the defaults of `search.settings.TransferSettings`. An interrupted transfer resumes.

        Args:
            scaled: the scaled search file, a recipe, a dict or settings.
            overrides: settings of it to replace, by their dotted names.
            seeds: fresh seeds for each finalist; a larger number adds seeds.
            rules: the most rules of the pilot to train, the best first.
            retuned: the most rules to train with settings tuned at scale, too.
            constants: the most constants λ to try at scale.
            from_scaled: settings to take from `scaled`, though the pilot searched them.
            smallest_gain: the gain that is worth a change: points of accuracy, or the KPI's unit.
            progress: True shows the progress, False does not; a listener receives the events.

        Raises:
            SearchError: the search has not finished, the transfer began with other settings, or trainings failed.
            KDPolicySearchError: a setting is wrong, or data, teacher or cluster is not available.
        """
        from search.evidence import transfer_findings
        from search.transfer import transfer_search  # takes seconds

        listener = listener_for(progress)
        given = {
            "seeds": seeds, "rules": rules, "retuned": retuned, "constants": constants, "smallest_gain": smallest_gain,
            "from_scaled": None if from_scaled is None else list(from_scaled),
        }  # fmt: skip
        settings = TransferSettings.parse({name: value for name, value in given.items() if value is not None})
        config = given_config(scaled, overrides)
        check_config(config, self._launch)
        if self._launch.address is not None and not in_ray_job():
            check_cluster(self._launch.address)
        done = transfer_search(self.name, config, self._launch, listener, settings)
        self._read()
        _, problem = publish_transfer(self.record, self._launch)
        if problem is not None:
            listener.stage(problem)
        if done.failed:
            unit, error = next(iter(done.failed.items()))
            raise SearchError(
                f"{count(len(done.failed), 'training')} of the transfer of {self.name!r} failed; {unit.name}: {error}"
                " Call `transfer(…)` again to retry."
            )
        found = transfer_findings(done.record, self.record.unit)
        if found is None or done.interrupted:
            raise SearchError(f"the transfer of {self.name!r} was stopped; `.transfer(…)` resumes it")
        return found

    @property
    def transfers(self) -> tuple[TransferFindings, ...]:
        """The conclusions from its transfers, of those whose finalists are known."""
        return self._source.transferred

    def __rich__(self) -> RenderableType:
        from search.report import render_report

        answer = self.verdict
        parts = [render_report(self._source, with_remedy=False)]
        if answer.next_verb:
            options = zip(answer.next_options[::2], answer.next_options[1::2], strict=True)
            given = ", ".join(f"{name.removeprefix('--').replace('-', '_')}={value}" for name, value in options)
            parts += [Text(), Text(answer.remedy), Text(f"  .{answer.next_verb}({given})", style="bold")]
        return Group(*parts)

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=_WIDTH, force_jupyter=False, highlight=False)
        with console.capture() as captured:
            console.print(self)
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def __repr__(self) -> str:
        trials = count(len(self.record.trials), "trial")
        return f"<Search {self.name!r}: {self.status}, {trials}. {self.verdict.headline}>"
