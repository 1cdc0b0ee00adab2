"""Reads and checks search files. Imports no torch, so that a mistake is reported at once."""

from __future__ import annotations

import pathlib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from policies.aliases import ALIASES, meaning
from policies.errors import PolicyError
from policies.families.schedules.fixed import Fixed
from policies.own_file import read_source
from policies.policy import Policy
from policies.registry import policy_class
from policies.text_file import read_user_text
from search.errors import SearchError, nearest
from search.metrics import METRICS
from search.settings.budget import Budget, seconds_of
from search.settings.confirmation import ConfirmationSettings
from search.settings.costs import Cost
from search.settings.domains import Domain, Interval, check_domain, check_options, ends, middle
from search.settings.gates import check_gate_names, gates_of
from search.settings.own_parts import read_parts
from search.settings.problems import Problems
from search.settings.racing import Heat, RacingSettings, heats_of, with_more_seeds
from search.settings.sizes import Size
from trainables.config import (
    AugmentationSettings,
    CorruptionSettings,
    DataSettings,
    DeviceSettings,
    ModelSettings,
    OwnFunction,
    OwnKPI,
    OwnPolicy,
    OwnTask,
    TeacherSettings,
    TrainingSettings,
    TrialSettings,
)
from trainables.errors import ConfigError
from trainables.records import ACCURACY, Direction, Objective
from trainables.settings import Settings, problems_of
from trainables.suggestion import BASE_STUDENT, OPTIONS, SHARED

DEFAULT_FAMILIES = (
    Fixed.family,
    "cosine_schedule",
    "step_schedule",
    "cosine_threshold",
    "norm_ratio_threshold",
    "norm_balance",
    "sample_class_reliability",
)


class SpaceSettings(Settings):
    """The search space. Apart from the policies' own ranges, all of it is searched alike for every family."""

    learning_rate: Domain | None = None
    temperature: Domain | None = None
    options: dict[str, Domain] = Field(default_factory=dict)
    """`options.<name>`: numbers among the options of the user's own task. They may change losses and training, but not
    data, teacher or the student's architecture."""
    students: dict[str, ModelSettings] = Field(default_factory=dict)
    """`students.<name>`: further students, each searched as closely as `student`, whose name here is `base`."""
    policies: dict[str, dict[str, Domain]] = Field(default_factory=dict)
    """`policies.<family>.<parameter>`: overrides of a family's own search ranges."""

    @pydantic.field_validator("learning_rate", "temperature")
    @classmethod
    def _positive_numbers(cls, domain: Domain | None) -> Domain | None:
        for end in () if domain is None else ends(domain):
            if isinstance(end, str) or end <= 0:
                raise ConfigError(f"must be made of positive numbers, but got {end!r}.")
        return domain

    @pydantic.field_validator("options")
    @classmethod
    def _options_are_numbers(cls, options: dict[str, Domain]) -> dict[str, Domain]:
        for name, domain in options.items():
            text = next((end for end in ends(domain) if isinstance(end, str)), None)
            if text is not None:
                raise ConfigError(
                    f"must be made of numbers, but `{name}` has {text!r}; to compare variants that are named, give each"
                    " to a student: space.students.NAME.options."
                )
        return options

    @property
    def shared(self) -> dict[str, Domain]:
        """The domains of all that is searched alike for every family, but the student, by names in a suggestion."""
        given = {name: domain for name in SHARED if (domain := getattr(self, name)) is not None}
        return {**given, **{f"{OPTIONS}{name}": domain for name, domain in self.options.items()}}

    @property
    def logarithmic(self) -> frozenset[str]:
        """Names of `shared` settings of which orders of magnitude count: learning rate, temperature, and log ranges."""
        ranges = (name for name, domain in self.shared.items() if isinstance(domain, Interval) and domain.log)
        return frozenset((*SHARED, *ranges))

    @pydantic.field_validator("students")
    @classmethod
    def _students_have_names(cls, students: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        for name in students:
            if name == BASE_STUDENT:
                raise ConfigError(
                    f"must not name a student {BASE_STUDENT!r}, which is the name of `student`; rename it."
                )
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
                raise ConfigError(
                    f"must name students with letters, digits, '_' and '-', 40 at most, but got {name!r}; rename it."
                )
        return students


class ResourceSettings(Settings):
    """The resources of one trial, and how many trials run at a time (by default, as many as fit)."""

    cpus_per_trial: float = Field(1.0, gt=0)
    gpus_per_trial: float = Field(0.0, ge=0)
    max_concurrent: int | None = Field(None, ge=1)


def _racing(value: Any) -> Any:
    """Replace `true` by a race with default settings, and `false` by None."""
    if isinstance(value, bool):
        return {} if value else None
    if value is None or isinstance(value, dict | RacingSettings):
        return value
    raise ValueError("should be true, false or a table like { heats = 3 }")


Racing = Annotated[RacingSettings | None, pydantic.BeforeValidator(_racing)]


SamplerName = Literal["tpe", "gp", "qmc", "random"]

_BASELINES = "baselines"
"""A setting of earlier releases: the constants that a search tried first."""
_SEEDS_OF_A_CONSTANT = 2
"""Seeds of a constant's first heat, if the search races. With one, no two constants could be told apart from noise."""

CONSTANT_FAMILY = Fixed.family
"""The family of constant λ, which every rule must beat. It has no share of trials: its λ is bracketed."""


class ConstantSettings(Settings):
    """Settings of the search for the best constant λ, over λ, learning rate and temperature."""

    most_trials: int = Field(40, ge=1, le=1000)
    """The most points to try with each student. The bracket usually closes sooner. If it does not, the search says so,
    and no rule can be said to beat the constant."""
    promoted: int = Field(3, ge=1, le=100)
    """Points that are trained with all seeds if the search races: the best one and its nearest rivals."""


class SearchConfig(Settings):
    """One search: a teacher, a student, a data set, the families of rules to try, and how often."""

    name: str
    task: OwnTask | None = None
    """A task of the user's own in place of pictures; in a search file, `"my_task.py:MyTask"` relative to it, or a table
    with this as `name` and with `options`. It brings data, teacher and student."""
    function: OwnFunction | None = None
    """A training function of the user's own in place of the search's loop; in a search file, `"train.py:distil"`
    relative to it, or a table with this as `name`, with `options` and `processes`."""
    own_policies: tuple[OwnPolicy, ...] = ()
    """Rules of the user's own; in a search file, `"my_rules.py:MyRule"` relative to it. Their families are added."""
    kpis: tuple[OwnKPI, ...] = ()
    """Figures of the user's own; in a search file, `"my_kpis.py:my_function"` relative to it."""
    objective: str = ACCURACY
    """The objective, measured on the validation samples: `accuracy`, a metric of the task, or one of `kpis` by its
    function's name."""
    direction: Direction = "maximize"
    gates: dict[str, str] = Field(default_factory=dict)
    """Bounds that a champion must keep, such as `accuracy = ">= 0.9"`; see `search.settings.gates`."""
    costs: tuple[Cost, ...] = ()
    """Costs to weigh against the score: `complexity` of the rule, which the search then also minimises; `parameters`
    and `flops` of the student, if `space.students` gives a choice. See `search.evidence.pareto`."""
    families: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_FAMILIES
    trials_per_family: int = Field(8, ge=1)
    """Rules tried of each family, with each student. Constant λ have no share: see `constant`."""
    budget: Budget = None
    """The time after which the search begins no further round, such as "2h". Each family then has as many rules."""
    earlier_sizes: tuple[Size, ...] = ()
    """The sizes that the search was planned with before, oldest first. `kd-search resume NAME --set …` writes them.
    They keep the trials' numbers and the seeds of their first heats."""
    constant: ConstantSettings = ConstantSettings()
    """The search for the best constant λ, if `fixed` is among `families`."""
    replicates: int = Field(3, ge=1, le=1000)
    """The number of seeds of a trial; the mean over them is its score."""
    racing: Racing = None
    """The race in which policies must earn their seeds: true, false or a table of settings. See `search.plan.race`."""
    sampler: SamplerName = "gp"
    """The method by which Optuna proposes the next trial: a Gaussian process that takes the round's learning rate and
    temperature into account, tree-structured Parzen estimators, a Sobol sequence, or chance."""
    proposal_lag: int = Field(2, ge=1, le=100)
    """A proposal knows the scores of its family's own trials up to this many rounds before. Larger lags keep more
    workers busy and learn later. The proposals are the same for any number of workers."""
    seed: int = Field(0, ge=0, le=2**31)
    data: DataSettings = DataSettings()
    teacher: TeacherSettings | None = None
    """The teacher of a search on pictures, which must have one; None for a task, which brings its own."""
    student: ModelSettings
    """The student; of a task, its name and its options."""
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    corruption: CorruptionSettings | None = None
    temperature: float = Field(4.0, gt=0, le=1000)
    space: SpaceSettings = SpaceSettings()
    device: DeviceSettings = DeviceSettings()
    resources: ResourceSettings = ResourceSettings()
    confirm: ConfirmationSettings = ConfirmationSettings()
    evaluations: int = Field(15, ge=1)
    trace_points: int = Field(50, ge=2, le=10_000)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _own_file_brings_its_student(cls, values: Any) -> Any:
        given = (values.get("task") or values.get("function")) if isinstance(values, dict) else None
        if not isinstance(given, dict | OwnTask | OwnFunction):
            return values
        own = given if isinstance(given, dict) else given.model_dump()
        values = {"student": {"name": own.get("origin"), "options": own.get("options", {})}, **values}
        space = values.get("space")
        if isinstance(space, dict) and isinstance(students := space.get("students"), dict):
            named = {
                name: {"name": own.get("origin"), **student} if isinstance(student, dict) else student
                for name, student in students.items()
            }
            values["space"] = {**space, "students": named}
        return values

    @pydantic.model_validator(mode="after")
    def _rules_on_several_settings_hold(self, info: pydantic.ValidationInfo) -> SearchConfig:
        unsound = (info.context or {}).get(_UNSOUND, frozenset())
        found = [text for reads, rule in _RULES if not reads & unsound for text in rule(self)]
        if found:
            raise ConfigError("\n".join(found))
        return self

    def _pictures_or_a_file_of_ones_own(self) -> Iterator[str]:
        if self.task is not None and self.function is not None:
            yield "`task` and `function` are two ways to bring a training, but both are given; remove one."
        own, kind = self.own, "task" if self.task is not None else "function"
        if own is None:
            if self.teacher is None:
                yield "`teacher` is missing; it must be given where pictures are searched on."
            return
        given = [
            section
            for section, there in (
                ("data", self.data != DataSettings()),
                ("teacher", self.teacher is not None),
                ("augmentation", self.augmentation != AugmentationSettings()),
                ("corruption", self.function is not None and self.corruption is not None),
                ("kpis", self.function is not None and bool(self.kpis)),
            )
            if there
        ]
        for section in given:
            yield (
                f"`{section}` belongs to searches on pictures, but `{kind}` is {own.origin!r}, which brings its"
                " own data and teacher; remove one of them."
            )
        for name, student in self.students.items():
            if student.name != own.origin:
                yield (
                    f"`{self.student_sections[name]}.name` must be the {kind} {own.origin!r}, which creates all"
                    f" students, but got {student.name!r}; remove it and set `options`."
                )

    def _processes_have_their_cores(self) -> Iterator[str]:
        if self.function is None or self.function.processes <= 1:
            return
        needed, resources = self.function.processes, self.resources
        for name, share in (("cpus_per_trial", resources.cpus_per_trial), ("gpus_per_trial", resources.gpus_per_trial)):
            if share < needed and (name == "cpus_per_trial" or share > 0):
                yield (
                    f"`resources.{name}` must be at least {needed}, since `function.processes` is {needed}, but got"
                    f" {share:g}; raise it."
                )

    @property
    def own(self) -> OwnTask | OwnFunction | None:
        """The user's own task or function; None for a search on pictures."""
        return self.task or self.function

    def _searched_options_are_ones_own(self) -> Iterator[str]:
        kind = "`task" if self.task is not None else "`function"
        for name, first in self.first_options.items():
            section = f"space.options.{name}"
            if isinstance(first, bool) or not isinstance(first, int | float):
                yield f"`{section}` must be an option that is a number, but {kind}.options` has {first!r}."
            if self.own is None:
                yield f"`{section}` searches an option of a task or function of your own, but there is none; remove it."
            student = next((key for key, one in self.space.students.items() if name in one.options), None)
            if student is not None:
                yield (
                    f"`{section}` is searched with every student, but `space.students.{student}.options` sets it;"
                    " remove one of them."
                )
            if OPTIONS.removesuffix(".") in self.families:
                yield f"`{section}` cannot be told from a parameter of the family 'options'; rename it."

    @pydantic.field_validator("name")
    @classmethod
    def _usable_as_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("must be made of letters, digits, '.', '_' and '-', 100 at most")
        return name

    @pydantic.field_validator("own_policies")
    @classmethod
    def _own_families_differ(cls, own_policies: tuple[OwnPolicy, ...]) -> tuple[OwnPolicy, ...]:
        origins: dict[str, str] = {}
        for policy in own_policies:
            other = origins.setdefault(policy.family, policy.origin)
            if other != policy.origin:
                raise ConfigError(f"{other} and {policy.origin} are both of the family {policy.family!r}; rename one.")
        return own_policies

    @pydantic.field_validator("kpis")
    @classmethod
    def _kpis_differ(cls, kpis: tuple[OwnKPI, ...]) -> tuple[OwnKPI, ...]:
        origins: dict[str, str] = {}
        for kpi in kpis:
            other = origins.setdefault(kpi.name, kpi.origin)
            if kpis.count(kpi) > 1 or other != kpi.origin:
                raise ConfigError(f"{other} and {kpi.origin} have the same name; list it once, or rename one.")
        return kpis

    @pydantic.field_validator("objective")
    @classmethod
    def _objective_is_measured(cls, objective: str, info: pydantic.ValidationInfo) -> str:
        # The metrics of a task or function are known once it is tried out.
        if "kpis" in info.data and info.data.get("task") is None and info.data.get("function") is None:
            known = [ACCURACY, *(kpi.name for kpi in info.data["kpis"])]
            if objective not in known:
                raise ConfigError(
                    f"must be one of {', '.join(known)}, but got {objective!r}; list further KPIs in `kpis`."
                    f"{nearest(objective, known)}"
                )
        return objective

    @pydantic.field_validator("direction")
    @classmethod
    def _accuracy_is_maximised(cls, direction: Direction, info: pydantic.ValidationInfo) -> Direction:
        if direction == "minimize" and info.data.get("objective") == ACCURACY:
            raise ConfigError(
                "must be 'maximize' while `objective` is 'accuracy'; to minimise, name a metric of the task or one of"
                " `kpis` as the objective."
            )
        return direction

    @pydantic.field_validator("gates")
    @classmethod
    def _gates_can_be_checked(cls, gates: dict[str, str], info: pydantic.ValidationInfo) -> dict[str, str]:
        if "kpis" not in info.data:
            return gates
        own = [kpi.name for kpi in info.data["kpis"]]
        gates_of(gates, own)
        # The metrics of a task or function are known once it is tried out.
        if info.data.get("task") is None and info.data.get("function") is None:
            check_gate_names(gates, (*(metric.name for metric in METRICS), *own))
        return gates

    @pydantic.field_validator("costs")
    @classmethod
    def _costs_differ(cls, costs: tuple[Cost, ...]) -> tuple[Cost, ...]:
        if len(set(costs)) != len(costs):
            raise ValueError("must differ from one another")
        return costs

    @pydantic.field_validator("families")
    @classmethod
    def _families_exist(cls, families: tuple[str, ...], info: pydantic.ValidationInfo) -> tuple[str, ...]:
        if "own_policies" not in info.data:
            return families  # pydantic reports `own_policies`; their families would only seem unknown
        added = (policy.family for policy in info.data["own_policies"])
        families = (*families, *(family for family in added if family not in families))
        for family in families:
            target = policy_class(family).family
            if family in ALIASES:
                raise ValueError(
                    f"{family!r} is an alias of {meaning(family)}; list {target!r} instead and set those values under"
                    f" `space.policies.{target}`"
                )
        if len(set(families)) != len(families):
            raise ValueError("must differ from one another")
        return families

    def _trials_get_the_gpu_they_demand(self) -> Iterator[str]:
        if self.device.device == "cuda" and self.resources.gpus_per_trial == 0:
            yield (
                "`device.device` is 'cuda', but `resources.gpus_per_trial` is 0; give each trial a share of a GPU, e.g."
                " 0.25."
            )

    def _overrides_are_valid_and_have_an_effect(self) -> Iterator[str]:
        for family, domains in self.space.policies.items():
            try:
                owner = policy_class(family)
                owner.check_names(domains)
            except PolicyError as error:
                yield str(error)
                continue
            wrong = [*self._wrong_ranges(owner, domains)]
            yield from wrong
            if not wrong:
                try:
                    check_options(owner, domains, f"space.policies.{family}")
                except PolicyError as error:
                    yield str(error)
            if family not in self.families:
                yield (
                    f"`space.policies.{family}` has no effect, since {family!r} is not among `families`:"
                    f" {', '.join(self.families)}."
                )

    def _wrong_ranges(self, owner: type[Policy], domains: Mapping[str, Domain]) -> Iterator[str]:
        for name, domain in domains.items():
            try:
                check_domain(domain, owner.parameters()[name], f"space.policies.{owner.family}", name)
            except PolicyError as error:
                yield str(error)

    def _students_differ(self) -> Iterator[str]:
        known: dict[str, str] = {}
        for name, student in self.students.items():
            twin = known.setdefault(student.model_dump_json(), name)
            if twin != name:
                yield f"`space.students.{name}` is the same student as {twin!r}; change or remove it."
        costs = [cost for cost in self.costs if cost != "complexity"]
        if costs and len(self.students) < 2:
            yield (
                f"`costs` names {costs[0]!r}, which is the same for every trial of one student; add others under"
                " `space.students`, or remove it."
            )

    def _confirmed_student_is_searched(self) -> Iterator[str]:
        student = self.confirm.student
        if student is not None and student not in self.students:
            yield (
                f"`confirm.student` must be one of {', '.join(self.students)}, but got {student!r}."
                f"{nearest(student, self.students)}"
            )

    def _confirmed_families_are_searched(self) -> Iterator[str]:
        for family in self.confirm.families or ():
            if family not in self.families:
                yield (
                    f"`confirm.families` must be among `families` ({', '.join(self.families)}), but got {family!r}."
                    f"{nearest(family, self.families)}"
                )

    def _given_constants_have_searched_settings(self) -> Iterator[str]:
        yield from self.unsearched_constants(self.confirm)

    def unsearched_constants(self, settings: ConfirmationSettings) -> Iterator[str]:
        """Yield a message for each setting of a given constant that the search holds at one value."""
        for place, constant in enumerate(settings.constants):
            for name in constant.shared:
                if name not in self.space.shared:
                    yield (
                        f"`confirm.constants[{place}].{name}` must belong to a setting that is searched, but"
                        f" `space.{name}` is not given; remove it, or give `space.{name}` a range or choices."
                    )

    @classmethod
    def parse(cls, values: dict[str, Any], section: str = "", unread: Collection[str] = ()) -> Self:
        """Check plain values and return them as settings.

        Args:
            values: the values by name.
            section: their place in the file, for messages.
            unread: settings whose files could not be read, which is reported elsewhere.

        Raises:
            ConfigError: names everything that is wrong: every field, and every rule on several fields that can be
                checked without the wrong ones.
        """
        sound = {key: value for key, value in values.items() if key not in unread}
        try:
            found = cls.model_validate(sound)
            if not unread:
                return found
            problems = []
        except pydantic.ValidationError as error:
            problems = problems_of(cls, error, section)
        unsound = {field for field, _ in problems if field} | set(unread)
        for field, others in _JUDGED_BY.items():
            if others & unsound:
                unsound.add(field)
        told = [
            text for field, text in problems if field not in unread and not (_JUDGED_BY.get(field, set()) & set(unread))
        ]
        if unsound:
            rest = {key: value for key, value in sound.items() if key not in unsound and key in cls.model_fields}
            try:
                cls.model_validate(
                    {**_PLACEHOLDERS, **rest}, context={_UNSOUND: unsound | (_PLACEHOLDERS.keys() - rest.keys())}
                )
            except pydantic.ValidationError as error:
                told += [text for field, text in problems_of(cls, error, section) if not field]
        raise ConfigError("\n".join(told))

    @property
    def rule_families(self) -> tuple[str, ...]:
        """The families that share the rounds: all but the constant λ."""
        return tuple(family for family in self.families if family != CONSTANT_FAMILY)

    @property
    def rule_trials(self) -> int:
        """The number of rule trials in the whole search; they are numbered from 1 to this number."""
        return len(self.rule_families) * self.trials_per_family * len(self.students)

    @property
    def most_constants(self) -> int:
        """The most constant λ that the whole search tries; their numbers follow the rules'."""
        return self.constant.most_trials * len(self.students) if CONSTANT_FAMILY in self.families else 0

    @property
    def total_trials(self) -> int:
        """The most trials of the whole search; fewer if the best constant is bracketed sooner."""
        return self.rule_trials + self.most_constants

    @property
    def students(self) -> dict[str, ModelSettings]:
        """All students by name: `student` as `base`, then `space.students`."""
        return {BASE_STUDENT: self.student, **self.space.students}

    @property
    def student_sections(self) -> dict[str, str]:
        """The section of each of `students` in the search file."""
        return {name: "student" if name == BASE_STUDENT else f"space.students.{name}" for name in self.students}

    @property
    def first_options(self) -> dict[str, float]:
        """The values that searched options begin with: those given in `options`, else the middle of their ranges."""
        given = {} if self.own is None else self.own.options
        return {name: given.get(name, middle(domain)) for name, domain in self.space.options.items()}

    @property
    def data_name(self) -> str:
        """The name of the data set, or of the task or function that brings it."""
        return self.data.name if self.own is None else self.own.origin

    @property
    def teacher_name(self) -> str:
        """The name of the teacher's model, or of the task that brings it."""
        return self.teacher.model.name if self.teacher is not None else self.student.name

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of a whole trial."""
        return tuple(range(self.seed, self.seed + self.replicates))

    @property
    def size(self) -> Size:
        """The part of the settings that may grow."""
        return Size(
            families=self.families,
            trials_per_family=self.trials_per_family,
            most_constants=self.constant.most_trials if CONSTANT_FAMILY in self.families else 0,
            replicates=self.replicates,
        )

    @property
    def sizes(self) -> tuple[Size, ...]:
        """All sizes that the search was planned with, the present one last."""
        return (*self.earlier_sizes, self.size)

    @property
    def budget_seconds(self) -> float | None:
        """`budget` in seconds."""
        return None if self.budget is None else seconds_of(self.budget)

    def resized(self, **changes: Any) -> SearchConfig:
        """Return the search with other settings of its size; the present size joins the earlier ones."""
        earlier = self.earlier_sizes
        if not (earlier and any(size.covers(self.size) for size in earlier)):
            earlier = (*earlier, self.size)
        return self.model_copy(update={**changes, "earlier_sizes": earlier})

    @property
    def heats(self) -> tuple[Heat, ...]:
        """The heats in which the seeds of a rule's trial are trained, with the number of policies that reach each.

        Seeds that the search was given after it had begun are heats of their own.
        """
        first = heats_of(self.racing, seeds=self.seeds[: self.sizes[0].replicates], trials=self.trials_per_family)
        return with_more_seeds(first, self.seeds, self._replicates)

    @property
    def _replicates(self) -> tuple[int, ...]:
        """The numbers of seeds that the search was planned with, each larger than the one before."""
        return tuple(sorted({size.replicates for size in self.sizes}))

    def heats_of_family(self, family: str) -> tuple[Heat, ...]:
        """The heats of one family. In a race, constants first train two seeds; the promoted ones train the rest."""
        if family != CONSTANT_FAMILY:
            return self.heats
        first, begun, most = _SEEDS_OF_A_CONSTANT, self.sizes[0].replicates, self.constant.most_trials
        heats = [Heat(self.seeds[:begun], most, begun)]
        if self.racing is not None and begun > first:
            heats = [Heat(self.seeds[:first], most, first)]
            heats.append(Heat(self.seeds[first:begun], min(self.constant.promoted, most), begun))
        return with_more_seeds(heats, self.seeds, self._replicates)

    def constants_alone(self) -> SearchConfig:
        """Derive the search for the best constant alone, without any rule, under the name `NAME-worth`."""
        kept = {family: domains for family, domains in self.space.policies.items() if family == CONSTANT_FAMILY}
        changed = {
            "name": f"{self.name}-worth",
            "earlier_sizes": [],
            "families": [CONSTANT_FAMILY],
            "own_policies": [],
            "gates": {},
            "space": {**self.space.model_dump(), "policies": kept},
            "confirm": {**self.confirm.model_dump(), "families": None},
        }
        return SearchConfig.parse({**self.model_dump(), **changed})

    def base_trial(self) -> TrialSettings:
        """The settings that all trials have in common."""
        return TrialSettings(
            student=self.student,
            students=self.space.students,
            training=self.training,
            augmentation=self.augmentation,
            corruption=self.corruption,
            own_policies=self.own_policies,
            own_kpis=self.kpis,
            objective=Objective(name=self.objective, direction=self.direction),
            temperature=self.temperature,
            options=self.first_options,
            seeds=self.seeds,
            device=self.device.model_copy(
                update={"threads": self.device.threads or max(1, int(self.resources.cpus_per_trial))}
            ),
            evaluations=self.evaluations,
            trace_points=self.trace_points,
        )


_UNSOUND = "unsound"
"""The key in pydantic's context for the settings that rules on several settings cannot rely on."""
_PLACEHOLDERS: dict[str, Any] = {"name": "placeholder", "student": {"name": "mlp"}}
"""Values for required settings that are missing or wrong, with which other rules are checked."""
_JUDGED_BY: dict[str, set[str]] = {
    "objective": {"kpis", "task", "function"},
    "direction": {"kpis", "task", "function", "objective"},
    "gates": {"kpis", "task", "function"},
    "families": {"own_policies"},
    "student": {"task", "function"},
}
"""Settings whose own checks read others."""
_RULES: tuple[tuple[frozenset[str], Callable[[SearchConfig], Iterator[str]]], ...] = (
    (
        frozenset(("task", "function", "teacher", "data", "augmentation", "corruption", "kpis", "student", "space")),
        SearchConfig._pictures_or_a_file_of_ones_own,
    ),
    (frozenset(("function", "resources")), SearchConfig._processes_have_their_cores),
    (frozenset(("task", "function", "space", "families")), SearchConfig._searched_options_are_ones_own),
    (frozenset(("device", "resources")), SearchConfig._trials_get_the_gpu_they_demand),
    (frozenset(("space", "families", "own_policies")), SearchConfig._overrides_are_valid_and_have_an_effect),
    (frozenset(("space", "student", "costs")), SearchConfig._students_differ),
    (frozenset(("confirm", "space", "student")), SearchConfig._confirmed_student_is_searched),
    (frozenset(("confirm", "families")), SearchConfig._confirmed_families_are_searched),
    (frozenset(("confirm", "space")), SearchConfig._given_constants_have_searched_settings),
)
"""The rules on several settings, each with the settings that it reads."""


def load_config(source: str, overrides: Sequence[str] = (), own_policies: Sequence[str] = ()) -> SearchConfig:
    """Read a search from a TOML file or a recipe.

    Args:
        source: the file or the recipe's name.
        overrides: settings to replace, each as `key.path=value`.
        own_policies: further rules of the user's own, `my_rules.py:MyRule`, relative to the working directory.

    Raises:
        PolicyError: a rule or a KPI of the user's own cannot be loaded.
        SearchError: there is no such file or recipe, or it is not TOML, or an override is malformed.
        ConfigError: a setting is unknown or invalid.
    """
    return parse_config(text_of(source), overrides, own_policies, origin=source, folder=pathlib.Path(source).parent)


def text_of(source: str) -> str:
    """Read a search file's or a recipe's text.

    Raises:
        SearchError: there is no such file or recipe.
    """
    from search.recipes import read_recipe, recipe_names

    path = pathlib.Path(source)
    if path.suffix == ".toml" or path.exists():
        try:
            text = read_user_text(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or f"it is not UTF-8 ({error}); save it as UTF-8"
            raise SearchError(
                f"cannot read the search file {source!r}: {reason}. Give a .toml file or a recipe:"
                f" {', '.join(recipe_names())}."
            ) from error
    else:
        text = read_recipe(source)
    return text


def parse_config(
    text: str,
    overrides: Sequence[str] = (),
    own_policies: Sequence[str] = (),
    *,
    origin: str = "search file",
    folder: pathlib.Path = pathlib.Path(),
) -> SearchConfig:
    """Read a search from the text of a file in `folder`; see `load_config`."""
    values = values_of(text, origin)
    return config_from(values, own_policies, overrides=overrides, folder=folder)


def values_of(text: str, origin: str) -> dict[str, Any]:
    """Return the contents of a search file.

    Raises:
        SearchError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SearchError(f"{origin} is not valid TOML: {error}.") from error


def changed_config(
    config: SearchConfig, overrides: Sequence[str] | Mapping[str, Any], own_policies: Sequence[str] = ()
) -> SearchConfig:
    """Return a search's settings with some replaced; files are relative to the working directory.

    Args:
        config: the settings.
        overrides: settings to replace, each as `key.path=value`, or by their dotted names.
        own_policies: further rules of the user's own.

    Raises:
        KDPolicySearchError: as `load_config`.
    """
    return config_from(config.model_dump(mode="json"), own_policies, overrides=overrides)


def config_from(
    values: dict[str, Any],
    own_policies: Sequence[str] = (),
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    folder: pathlib.Path = pathlib.Path(),
) -> SearchConfig:
    """Read a search from the contents of a file in `folder`; see `load_config`.

    Overrides are applied, the user's own files are read and all is checked. Every mistake is in the one error that is
    raised.
    """
    problems = Problems()
    if isinstance(overrides, Mapping):
        for name, value in overrides.items():
            with problems.noted():
                _replace(values, name, value, f"`overrides` has {name!r}")
    else:
        for override in overrides:
            with problems.noted():
                _apply_override(values, override)
    listed = values.get("own_policies", [])
    if isinstance(listed, list):
        places = [*((policy, folder) for policy in listed), *((policy, pathlib.Path()) for policy in own_policies)]
        read = [policy for entry in places for policy in problems.reading("own_policies", _read_own, *entry)]
        values["own_policies"] = [policy for place, policy in enumerate(read) if policy not in read[:place]]
    if isinstance(values.get("kpis"), list):
        wording = {"what": "KPI", "example": "my_kpis.py:my_kpi"}
        values["kpis"] = [
            read for kpi in values["kpis"] for read in problems.reading("kpis", _read_own, kpi, folder, **wording)
        ]
    given = [kind for kind in _OWN_TRAINING if values.get(kind) is not None]
    for kind in given:
        for read in problems.reading(kind, _read_own_training, values[kind], folder, kind, _OWN_TRAINING[kind]):
            values[kind] = read
    if given and values.get("objective", ACCURACY) != ACCURACY and "direction" not in values:
        problems.texts.append(
            f"`direction` must be given, since `objective` is {values['objective']!r}: 'minimize' for an error,"
            " 'maximize' for a score."
        )
    if not given:
        values = read_parts(values, folder, problems)
    if _BASELINES in values:
        problems.texts.append(
            f"`{_BASELINES}` is no longer a setting, but got {values.pop(_BASELINES)!r}: the best constant λ is"
            " bracketed without hints (see `constant`); remove the line."
        )
    with problems.noted():
        config = SearchConfig.parse(values, unread=problems.unread)
    problems.check()
    return config


def stored_config(values: Mapping[str, Any]) -> SearchConfig:
    """Read a search's settings as its folder stores them, also those that an earlier release wrote.

    Raises:
        ConfigError: they are of a release whose settings this one does not know.
    """
    return SearchConfig.parse({key: value for key, value in values.items() if key != _BASELINES})


def _read_own(value: Any, folder: pathlib.Path, **wording: str) -> Any:
    """Read a file for `OwnPolicy` or `OwnKPI`; a table, which a stored search has, is returned as it is."""
    if isinstance(value, dict):
        return value
    origin, source = read_source(str(value), folder, **wording)
    return {"origin": origin, "source": source}


_OWN_TRAINING = {"task": "my_task.py:MyTask", "function": "train.py:distil"}
"""Settings that name a file with a training of the user's own, each with an example."""


def _read_own_training(value: Any, folder: pathlib.Path, kind: str, example: str) -> Any:
    """Read the file of a task or function, given by its name or as a table with `name`, `options` and the like."""
    table = value if isinstance(value, dict) else {"name": value}
    if "source" in table:  # as a stored search has it
        return table
    if not isinstance(table.get("name"), str):
        what = "CLASS" if kind == "task" else "FUNCTION"
        raise ConfigError(f"`{kind}.name` must be FILE.py:{what}, like {example}, but got {table.get('name')!r}.")
    origin, source = read_source(table["name"], folder, what=kind, example=example)
    return {**{key: part for key, part in table.items() if key != "name"}, "origin": origin, "source": source}


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise SearchError(f"`--set` takes key.path=value, but got {override!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        value = text.strip()  # a bare word is a string, so that it needs no quotes within the shell's
        if value.startswith(("[", "{", '"', "'")):
            raise SearchError(
                f"`--set {override}`: `{value}` is not valid TOML: {error}. Close all brackets and quotes, put text in"
                """ double quotes, and the whole argument in single quotes for the shell: --set 'KEY=["one", "two"]'."""
            ) from error
    _replace(values, key.strip(), value, f"`--set {override}`")


def _replace(values: dict[str, Any], name: str, value: Any, given: str) -> None:
    """Replace the setting with a dotted name; `given` names the source in an error."""
    *tables, key = name.split(".")
    table = values
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SearchError(f"{given}: {part!r} is a value, not a table; replace it as a whole.")
    table[key] = value
