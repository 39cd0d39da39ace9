"""A tenant at OpenAI: a project that bears its name, one service account with its key, a limit and alerts.

A service account's key is shown when the account is made, so a key that was lost goes with its account, and a rotation
makes a new account before it deletes the old one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from tokenboard_etl.errors import MalformedAnswer, ProvisioningPending
from tokenboard_etl.money import to_minor
from tokenboard_etl.periods import utc_day
from tokenboard_etl.providers import openai_changes, openai_entities, openai_limits
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.openai_limits import SpendAlert
from tokenboard_etl.tenants.audit import Unresolved
from tokenboard_etl.tenants.provisioning.means import Found
from tokenboard_etl.tenants.provisioning.orders import IssuedKey, usable_keys
from tokenboard_etl.tenants.provisioning.saga import Saga, log
from tokenboard_etl.tenants.provisioning.standing import deleted_accounts
from tokenboard_etl.warehouse.connection import transaction

ACCOUNT_NAME = "default"
ALERT_PERCENTAGES = (50, 80, 100)
ALERT_PREFIX = "[tokenboard]"
"""Tells our alerts from those people made by hand."""

_MAKE_PROJECT, _MAKE_ALERT = "create project", "create spend alert"


class OpenAISaga(Saga):
    make_key = "create service account"

    async def prepare(self) -> None:
        """A project of the tenant's own."""
        if self.order.project_id is None:
            await self.once(_MAKE_PROJECT, self._take_over_project, self._create_project)

    async def create_key(self) -> IssuedKey:
        project_id = self._project_id
        accounts = await openai_changes.service_accounts_of(self.exchange.patient, project_id)
        number, made = await self.do(
            self.make_key,
            lambda: openai_changes.create_service_account(self.exchange.patient, project_id, ACCOUNT_NAME),
            subject=ACCOUNT_NAME,
            known_ids=[account.id for account in accounts],
        )
        if made.api_key is None:
            with transaction(self.means.warehouse):
                self.audit.end(number, "lost", detail="the answer held no key")
            raise MalformedAnswer("openai", "POST service_accounts", "the answer held no key", status=200)
        key = IssuedKey(self.tenant.tenant_id, "openai", made.api_key.id, project_id, made.id)
        return self.keep(number, key, made.api_key.value)

    async def made_by(self, lost: Unresolved) -> list[Found]:
        accounts = await openai_changes.service_accounts_of(self.exchange.patient, self._project_id)
        ours = [each.id for each in accounts if each.name == lost.subject and each.id not in lost.known_ids]
        if not ours:
            return []
        keys = {
            key.owner.service_account.id: key.id
            for key in await openai_changes.keys_of(self.exchange.patient, self._project_id)
            if key.owner.service_account is not None
        }
        return [Found(account_id, self._issued(account_id, keys.get(account_id))) for account_id in ours]

    async def remove(self, found: Found) -> None:
        await self._delete_account(found.object_id)

    async def is_live(self, key: IssuedKey) -> bool:
        return any(
            each.id == key.key_id for each in await openai_changes.keys_of(self.exchange.fetch, self._project_id)
        )

    async def retire(self, key: IssuedKey) -> None:
        if key.service_account_id is not None:
            await self._delete_account(key.service_account_id)

    async def pause(self) -> None:
        """OpenAI cannot disable a key, so it goes with its account; `run` makes a new one when the tenant is back."""
        dropped = usable_keys(self.means.warehouse, self.order)
        for key in dropped:
            await self.drop(key)
        for project_id in self._project_ids():
            listed = await openai_changes.keys_of(self.exchange.fetch, project_id)
            if left := sorted({key.id for key in listed} - {key.key_id for key in dropped}):
                raise ProvisioningPending(
                    f"the project {project_id} has keys that were not made here, so they are not ours to delete: "
                    f"{', '.join(left)}. Delete them at OpenAI, then run `tokenboard provision --pending`."
                )

    async def reopen(self) -> None:
        """Nothing was closed that could be opened: a new key is made as the first one was.

        Also for one that was about to be deleted when it was interrupted: that one goes for good.
        """
        deleted = deleted_accounts(self.means.warehouse, self.order)
        for key in usable_keys(self.means.warehouse, self.order):
            if key.service_account_id in deleted:
                await self.drop(key)

    async def close(self) -> None:
        """Accounts and keys go with their project."""
        archived = {each.id: each.is_archived for each in await openai_entities.projects(self.exchange.fetch)}
        for project_id in self._project_ids():
            if not archived.get(project_id, True):
                await self.put(
                    "archive project",
                    partial(openai_changes.archive_project, self.exchange.fetch, project_id),
                    subject=self.tenant.name,
                    object_id=project_id,
                )

    async def look_into_lost(self) -> None:
        if self.order.project_id is None:
            await self._take_over_project()
        if self.order.project_id is not None:
            await super().look_into_lost()

    async def apply_limit(self, _key: IssuedKey) -> None:
        """The monthly hard limit and the alerts that come before it, in cents."""
        limit_usd, project_id = self.order.limit_usd, self._project_id
        if limit_usd is None:
            return
        cents = to_minor(limit_usd, "USD")
        await self.put(
            "set spend limit",
            lambda: openai_limits.set_spend_limit(self.exchange.patient, project_id, cents),
            subject=f"{limit_usd:.2f} USD a month",
            object_id=project_id,
        )
        if self.means.alerts_to:
            await self._set_alerts(sorted({cents * percent // 100 for percent in ALERT_PERCENTAGES} - {0}))
        else:
            log.warning("%s has no spend alerts: neither operator_email nor an e-mail is known", self.tenant.tenant_id)

    @property
    def _project_id(self) -> str:
        if self.order.project_id is None:
            raise ValueError("the project comes first")
        return self.order.project_id

    def _project_ids(self) -> list[str]:
        """The project that was made for the tenant and those that are bound to it."""
        return sorted({*self.bound(), *([self.order.project_id] if self.order.project_id else [])})

    def _issued(self, account_id: str, key_id: str | None) -> IssuedKey | None:
        if key_id is None:
            return None
        return IssuedKey(self.tenant.tenant_id, "openai", key_id, self._project_id, account_id)

    async def _of_this_name(self) -> list[Project]:
        return [each for each in await openai_entities.projects(self.exchange.fetch) if each.name == self.tenant.name]

    async def _take_over_project(self) -> Project | None:
        for lost in self.audit.unresolved(self.tenant.tenant_id, "openai", _MAKE_PROJECT):
            found = await self.look_for(partial(self._projects_made_by, lost))
            if len(found) > 1:
                raise ProvisioningPending(
                    f"openai has {len(found)} projects {lost.subject!r} that appeared after one was asked for "
                    f"({', '.join(project.id for project in found)}). Archive all but one, then run "
                    "`tokenboard provision --pending`."
                )
            with transaction(self.means.warehouse):
                if found:
                    self.audit.end(lost.action_no, "adopted", object_id=found[0].id)
                    self._record_project(found[0])
                else:
                    self.audit.end(lost.action_no, "not done")
            if found:
                return found[0]
        return None

    async def _projects_made_by(self, lost: Unresolved) -> list[Project]:
        return [
            each
            for each in await openai_entities.projects(self.exchange.fetch)
            if each.name == lost.subject and each.id not in lost.known_ids and not each.is_archived
        ]

    async def _create_project(self) -> Project:
        name = self.tenant.name
        known = await self._of_this_name()
        if active := [project.id for project in known if not project.is_archived]:
            log.warning("openai has a project of this name already (%s); another one is made", ", ".join(active))
        number, made = await self.do(
            _MAKE_PROJECT,
            lambda: openai_changes.create_project(self.exchange.fetch, name),
            subject=name,
            known_ids=[project.id for project in known],
        )
        with transaction(self.means.warehouse):
            self.done(number, made.id)
            self._record_project(made)
        return made

    def _record_project(self, project: Project) -> None:
        self.change_order(project_id=project.id)
        self.bind("project", project.id, utc_day(datetime.fromtimestamp(project.created_at, UTC)))

    async def _delete_account(self, account_id: str) -> None:
        await self.put(
            "delete service account",
            lambda: openai_changes.delete_service_account(self.exchange.fetch, self._project_id, account_id),
            subject=ACCOUNT_NAME,
            object_id=account_id,
        )

    async def _set_alerts(self, thresholds_cents: list[int]) -> None:
        """Changes our alerts into these, makes what is missing and deletes what is too many."""
        await self._take_over_alert()
        ours = sorted(await self._our_alerts(), key=lambda alert: (alert.threshold_amount, alert.id))
        for alert, cents in zip(ours, thresholds_cents, strict=False):
            if self._differs(alert, cents):
                change = partial(openai_limits.change_spend_alert, self.exchange.fetch, self._project_id, alert.id)
                await self.put(
                    "change spend alert",
                    partial(change, cents, self.means.alerts_to, ALERT_PREFIX),
                    subject=f"{cents} cents",
                    object_id=alert.id,
                )
        for alert in ours[len(thresholds_cents) :]:
            await self.put(
                "delete spend alert",
                partial(openai_limits.delete_spend_alert, self.exchange.fetch, self._project_id, alert.id),
                subject=f"{alert.threshold_amount} cents",
                object_id=alert.id,
            )
        for cents in thresholds_cents[len(ours) :]:
            await self.once(_MAKE_ALERT, self._take_over_alert, partial(self._create_alert, cents))

    async def _our_alerts(self) -> list[SpendAlert]:
        listed = await openai_limits.spend_alerts(self.exchange.patient, self._project_id)
        return [each for each in listed if each.notification_channel.subject_prefix == ALERT_PREFIX]

    async def _take_over_alert(self) -> SpendAlert | None:
        """The alert that a lost request made, if it made one."""
        for lost in self.unresolved(_MAKE_ALERT):
            found = await self.look_for(partial(self._alerts_made_by, lost))
            with transaction(self.means.warehouse):
                self.audit.end(
                    lost.action_no, "adopted" if found else "not done", object_id=found[0].id if found else None
                )
            if found:
                return found[0]
        return None

    async def _alerts_made_by(self, lost: Unresolved) -> list[SpendAlert]:
        return [each for each in await self._our_alerts() if each.id not in lost.known_ids]

    async def _create_alert(self, cents: int) -> SpendAlert:
        create = partial(openai_limits.create_spend_alert, self.exchange.patient, self._project_id, cents)
        number, made = await self.do(
            _MAKE_ALERT,
            partial(create, self.means.alerts_to, ALERT_PREFIX),
            subject=f"{cents} cents",
            known_ids=[alert.id for alert in await self._our_alerts()],
        )
        with transaction(self.means.warehouse):
            self.done(number, made.id)
        return made

    def _differs(self, alert: SpendAlert, cents: int) -> bool:
        return (alert.threshold_amount, tuple(alert.notification_channel.recipients)) != (cents, self.means.alerts_to)
