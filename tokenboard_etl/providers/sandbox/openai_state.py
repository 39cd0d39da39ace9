"""What the OpenAI side remembers between requests: projects, service accounts, keys, limits and alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from tokenboard_etl.providers.sandbox.draws import code, draw
from tokenboard_etl.providers.sandbox.organizations import ApiKey, Organization, Person, Project


@dataclass(slots=True)
class Account:
    """A service account. `hidden_reads` GETs by id still answer 404: a new object is not visible at once."""

    id: str
    name: str
    role: str
    created_at: int
    hidden_reads: int = 0


@dataclass(slots=True)
class Key:
    """A project key without its value, which is shown once and kept nowhere."""

    id: str
    name: str
    redacted_value: str
    created_at: int
    owner: Person | None
    account_id: str | None
    expires_at: int | None = None


@dataclass(slots=True)
class Alert:
    id: str
    threshold_cents: int
    recipients: list[str]
    subject_prefix: str | None


@dataclass(slots=True)
class Budget:
    """Hard limit and alerts of an organization or of a project, in whole cents a month."""

    limit_cents: int | None = None
    alerts: dict[str, Alert] = field(default_factory=dict)


@dataclass(slots=True)
class ProjectState:
    """A project as it is now; `born` is its entry in the seeded world, None if it was created by request."""

    id: str
    created_at: int
    given_name: str | None
    born: Project | None
    is_default: bool = False
    archived_at: int | None = None
    external_key_id: str | None = None
    residency: str = "GLOBAL"
    hidden_reads: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    rate_limits: dict[str, dict[str, int]] = field(default_factory=dict)

    def name_at(self, now: datetime) -> str | None:
        if self.given_name is None and self.born is not None:
            return self.born.name_on(now.astimezone(UTC).date())
        return self.given_name

    def archived_since(self, now: datetime) -> int | None:
        """Unix seconds, or None while it is active. The world's own archived project becomes so on its date."""
        if self.archived_at is None and self.born is not None and self.born.archived_on is not None:
            since = _midnight(self.born.archived_on)
            return since if now.timestamp() >= since else None
        return self.archived_at


class OrganizationState:
    """One organization with everything that requests changed."""

    def __init__(self, seed: int, org: Organization) -> None:
        self.org = org
        self.budget = Budget()
        self.admin_keys: dict[str, Key] = {}
        self.projects = {project.id: _project_state(project) for project in org.projects}
        self._seed = seed
        self._created = 0

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Ids follow the order of creation, so that two equal runs get equal ids."""
        self._created += 1
        return f"{prefix}{code(length, self._seed, self.org.id, prefix, self._created)}"

    def first_reads_hidden(self, object_id: str) -> int:
        """How many GETs by id answer 404 after a create: one or two."""
        return 1 + draw(self._seed, "hidden", object_id) % 2


def _project_state(project: Project) -> ProjectState:
    state = ProjectState(project.id, int(project.created_at.timestamp()), None, project, is_default=project.is_default)
    for key in project.keys:
        created = int(key.created_at.timestamp())
        if key.service_account_id is not None:
            account = Account(key.service_account_id, key.name, "member", created)
            state.accounts[account.id] = account
        state.keys[key.id] = Key(key.id, key.name, _redacted(key), created, key.owner, key.service_account_id)
    return state


def _redacted(key: ApiKey) -> str:
    return f"sk-{'proj' if key.service_account_id is None else 'svcacct'}-...{code(4, key.id)}"


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
