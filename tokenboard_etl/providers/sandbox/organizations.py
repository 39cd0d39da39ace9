"""The two OpenAI organizations: projects, people, API keys and the streams of usage behind each key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from tokenboard_etl.providers.sandbox.catalog import TEXT_MODELS, TOOLS, TextModel, Tool
from tokenboard_etl.providers.sandbox.draws import between, code, draw, pick
from tokenboard_etl.providers.sandbox.meters import Meter
from tokenboard_etl.providers.sandbox.tenants import PROFILES, TenantProfile

FOUNDED = datetime(2023, 10, 2, 9, tzinfo=UTC)
ARCHIVED_ON = date(2026, 3, 15)
RENAMED_ON = date(2026, 2, 1)
_PEOPLE = ("Ana Souza", "Björn Åkesson", "Chiara D'Angelo", "Dmitri <i>Petrov</i>")


@dataclass(frozen=True, slots=True)
class Person:
    """A member of an organization, who may own keys."""

    id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A project key; owned by a service account, or by a person where `service_account_id` is None."""

    id: str
    project_id: str
    name: str
    owner: Person
    service_account_id: str | None
    created_at: datetime = FOUNDED


@dataclass(frozen=True, slots=True)
class Project:
    """`earlier_name` holds before `renamed_on`; an archived project has no spend from `archived_on` on."""

    id: str
    org_id: str
    name: str
    tenant_id: str | None
    keys: tuple[ApiKey, ...]
    is_default: bool = False
    earlier_name: str | None = None
    renamed_on: date | None = None
    archived_on: date | None = None
    created_at: datetime = FOUNDED

    def name_on(self, day: date) -> str:
        if self.earlier_name is not None and self.renamed_on is not None and day < self.renamed_on:
            return self.earlier_name
        return self.name


@dataclass(frozen=True, slots=True)
class TextStream:
    """Completions of one key with one model in one way; `surface` prefixes the line item, as evals do."""

    meter: Meter
    key: ApiKey
    model: TextModel
    batch: bool
    tier: str
    surface: str = ""


@dataclass(frozen=True, slots=True)
class ToolStream:
    """Usage of one tool by one key."""

    meter: Meter
    key: ApiKey
    tool: Tool


@dataclass(frozen=True, slots=True)
class Organization:
    """`restated_project_id` is the project whose twelfth of the month is corrected to zero afterwards."""

    id: str
    name: str
    people: tuple[Person, ...]
    projects: tuple[Project, ...]
    text_streams: tuple[TextStream, ...]
    tool_streams: tuple[ToolStream, ...]
    restated_project_id: str


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    profile: TenantProfile | None
    size: int
    is_default: bool = False
    earlier_name: str | None = None
    archived_on: date | None = None


def build_organizations(seed: int, scale: int) -> tuple[Organization, ...]:
    """The first organization holds most tenants; the second a few, one of them in both."""
    first = [
        _Plan("Default project", None, 3, is_default=True),
        *_of_tenants(PROFILES[:10]),
        _Plan("research <script>alert(1)</script>", None, 9),
        _Plan("Helios pilot 2025", PROFILES[9], 14, archived_on=ARCHIVED_ON),
    ]
    second = [
        _Plan("Default project", None, 2, is_default=True),
        *_of_tenants(PROFILES[10:]),
        _Plan("Northwind EU", PROFILES[0], 20),
    ]
    return (
        _build(seed, scale, "Example Resale Inc.", first),
        _build(seed, scale, "Example Resale EU B.V.", second),
    )


def _of_tenants(profiles: tuple[TenantProfile, ...]) -> Iterator[_Plan]:
    for n, profile in enumerate(profiles):
        earlier = "Contoso Shop" if profile.name == "Contoso Retail" else None
        yield _Plan(profile.name, profile, profile.size, earlier_name=earlier)
        if n % 3 == 0:
            yield _Plan(f"{profile.name} (staging)", profile, max(2, profile.size // 8))


def _build(seed: int, scale: int, name: str, plans: list[_Plan]) -> Organization:
    org_id = f"org-{code(24, seed, 'org', name)}"
    people = tuple(
        Person(f"user-{code(24, seed, name, person)}", person, f"member{n}@resale.example")
        for n, person in enumerate(_PEOPLE)
    )
    projects = []
    texts: list[TextStream] = []
    tools: list[ToolStream] = []
    for number, plan in enumerate(plans):
        project = _project(seed, scale, org_id, people, number, plan)
        projects.append(project)
        for key in project.keys:
            texts += _text_streams(seed, plan, project, key)
        tools.append(_tool_stream(seed, plan, project, number))
    return Organization(
        id=org_id,
        name=name,
        people=people,
        projects=tuple(projects),
        text_streams=tuple(texts),
        tool_streams=tuple(tools),
        restated_project_id=projects[2].id,
    )


def _project(seed: int, scale: int, org_id: str, people: tuple[Person, ...], number: int, plan: _Plan) -> Project:
    project_id = f"proj_{code(24, seed, org_id, number, plan.name)}"
    keys = []
    for n in range(2 * scale):
        owner = pick(people, seed, project_id, n)
        account = None if n % 4 == 3 or plan.is_default else f"svc_acct_{code(20, seed, project_id, n)}"
        label = ("production", "=cmd|'batch'!A1", 'ci "nightly"', "größer")[(number + n) % 4]
        keys.append(ApiKey(f"key_{code(16, seed, project_id, 'key', n)}", project_id, label, owner, account))
    return Project(
        id=project_id,
        org_id=org_id,
        name=plan.name,
        tenant_id=plan.profile.tenant_id if plan.profile else None,
        keys=tuple(keys),
        is_default=plan.is_default,
        earlier_name=plan.earlier_name,
        renamed_on=RENAMED_ON if plan.earlier_name else None,
        archived_on=plan.archived_on,
    )


def _text_streams(seed: int, plan: _Plan, project: Project, key: ApiKey) -> Iterator[TextStream]:
    first = draw(seed, key.id, "model") % len(TEXT_MODELS)
    step = 1 + draw(seed, key.id, "step") % (len(TEXT_MODELS) - 1)
    for n in range(2):
        model = TEXT_MODELS[(first + n * step) % len(TEXT_MODELS)]
        ways = [(tier, False) for tier in model.tiers] + ([("default", True)] if model.batch else [])
        for tier, batch in ways:
            name = f"{key.id}:{model.name}:{tier}:{batch}"
            share = 100 if (tier, batch) == ("default", False) else between(10, 45, seed, name)
            dear = max(1, model.prices[0].pico_usd // 400_000)
            surface = "evals" if model.name == "gpt-4o-mini-2024-07-18" and batch else ""
            yield TextStream(
                _meter(seed, name, plan, project, 50_000 * share // 100 // dear),
                key,
                model,
                batch,
                tier,
                surface,
            )


def _tool_stream(seed: int, plan: _Plan, project: Project, number: int) -> ToolStream:
    tool = TOOLS[number % len(TOOLS)]
    key = pick(project.keys, seed, project.id, tool.endpoint)
    name = f"{key.id}:{tool.endpoint}"
    return ToolStream(_meter(seed, name, plan, project, tool.monthly_requests), key, tool)


def _meter(seed: int, name: str, plan: _Plan, project: Project, monthly: int) -> Meter:
    profile = plan.profile
    last = date.max if project.archived_on is None else date.fromordinal(project.archived_on.toordinal() - 1)
    return Meter(
        name=name,
        monthly_requests=max(60, monthly * plan.size * between(60, 140, seed, name) // 5_000),
        growth_percent=profile.growth_percent if profile else 1,
        weekend_percent=profile.weekend_percent if profile else 50,
        idle=12,
        last_day=last,
    )
