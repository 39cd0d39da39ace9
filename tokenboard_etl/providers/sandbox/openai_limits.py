"""Spend limits and alerts (whole cents a month) of the organization and of projects; rate limits of projects."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import exact_sum
from tokenboard_etl.providers.sandbox.catalog import TEXT_MODELS
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, body_of, listing, organization, project_of
from tokenboard_etl.providers.sandbox.openai_state import Alert, Budget, OrganizationState, ProjectState
from tokenboard_etl.providers.sandbox.state import sandbox_of

_RATES = (
    "max_requests_per_1_minute",
    "max_tokens_per_1_minute",
    "max_images_per_1_minute",
    "max_audio_megabytes_per_1_minute",
    "max_requests_per_1_day",
    "batch_1_day_max_input_tokens",
)


class Scope:
    """The same endpoints for an organization ("organization") and for a project ("project")."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def find(self, request: Request) -> tuple[OrganizationState, Budget, str | None]:
        if self.kind == "organization":
            org = organization(request)
            return org, org.budget, None
        org, project = project_of(request)
        return org, project.budget, project.id

    async def get_limit(self, request: Request) -> Response:
        return self._limit(request)

    async def set_limit(self, request: Request) -> Response:
        _, budget, _ = self.find(request)
        budget.limit_cents = _cents(await body_of(request), at_least=1)
        return self._limit(request)

    async def delete_limit(self, request: Request) -> Response:
        _, budget, _ = self.find(request)
        budget.limit_cents = None
        return ExactJSON({"object": f"{self.kind}.spend_limit.deleted", "deleted": True})

    async def list_alerts(self, request: Request) -> Response:
        _, budget, _ = self.find(request)
        return listing(request, (self._alert(alert) for alert in budget.alerts.values()), low=0)

    async def create_alert(self, request: Request) -> Response:
        org, budget, _ = self.find(request)
        alert = _alert_from(org.new_id("alert_"), await body_of(request))
        budget.alerts[alert.id] = alert
        return ExactJSON(self._alert(alert))

    async def get_alert(self, request: Request) -> Response:
        return ExactJSON(self._alert(self._known_alert(request)))

    async def update_alert(self, request: Request) -> Response:
        alert = self._known_alert(request)
        _, budget, _ = self.find(request)
        budget.alerts[alert.id] = _alert_from(alert.id, await body_of(request))
        return ExactJSON(self._alert(budget.alerts[alert.id]))

    async def delete_alert(self, request: Request) -> Response:
        alert = self._known_alert(request)
        _, budget, _ = self.find(request)
        del budget.alerts[alert.id]
        return ExactJSON({"id": alert.id, "object": f"{self.kind}.spend_alert.deleted", "deleted": True})

    def routes(self, prefix: str) -> list[Route]:
        alert = f"{prefix}/spend_alerts/{{alert_id}}"
        return [
            Route(f"{prefix}/spend_limit", self.get_limit),
            Route(f"{prefix}/spend_limit", self.set_limit, methods=["POST"]),
            Route(f"{prefix}/spend_limit", self.delete_limit, methods=["DELETE"]),
            Route(f"{prefix}/spend_alerts", self.list_alerts),
            Route(f"{prefix}/spend_alerts", self.create_alert, methods=["POST"]),
            Route(alert, self.get_alert),
            Route(alert, self.update_alert, methods=["POST"]),
            Route(alert, self.delete_alert, methods=["DELETE"]),
        ]

    def _limit(self, request: Request) -> Response:
        org, budget, project_id = self.find(request)
        if budget.limit_cents is None:
            raise OpenAIError(404, "No spend limit is set.", code="not_found")
        spent = _spent_this_month(request, org, project_id)
        enforcing = spent * 100 >= budget.limit_cents
        return ExactJSON(
            {
                "object": f"{self.kind}.spend_limit",
                "threshold_amount": budget.limit_cents,
                "currency": "USD",
                "interval": "month",
                "enforcement": {"status": "enforcing" if enforcing else "inactive"},
            }
        )

    def _alert(self, alert: Alert) -> dict[str, Any]:
        return {
            "id": alert.id,
            "object": f"{self.kind}.spend_alert",
            "threshold_amount": alert.threshold_cents,
            "currency": "USD",
            "interval": "month",
            "notification_channel": {
                "type": "email",
                "recipients": alert.recipients,
                "subject_prefix": alert.subject_prefix,
            },
        }

    def _known_alert(self, request: Request) -> Alert:
        _, budget, _ = self.find(request)
        alert_id = request.path_params["alert_id"]
        if alert_id not in budget.alerts:
            raise OpenAIError(404, f"Spend alert {alert_id} not found", code="not_found")
        return budget.alerts[alert_id]


async def list_rate_limits(request: Request) -> Response:
    _, project = project_of(request, wrapped=False)
    return listing(request, (_rate_limit(project, model.name) for model in TEXT_MODELS), default=100)


async def update_rate_limit(request: Request) -> Response:
    """Sets any of the numbers of one model; zero stops the model for the project."""
    _, project = project_of(request, wrapped=False)
    limit_id, body = request.path_params["limit_id"], await body_of(request)
    model = next((model.name for model in TEXT_MODELS if f"rl-{model.name}" == limit_id), None)
    if model is None:
        raise OpenAIError(404, f"The rate limit {limit_id} was not found", wrapped=False)
    for name, value in body.items():
        if name not in _RATES or not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise OpenAIError(400, f"Invalid value for '{name}'.", param=name)
    project.rate_limits.setdefault(model, {}).update(body)
    return ExactJSON(_rate_limit(project, model))


ROUTES = [
    *Scope("organization").routes("/organization"),
    *Scope("project").routes("/organization/projects/{project_id}"),
    Route("/organization/projects/{project_id}/rate_limits", list_rate_limits),
    Route("/organization/projects/{project_id}/rate_limits/{limit_id}", update_rate_limit, methods=["POST"]),
]


def _rate_limit(project: ProjectState, model: str) -> dict[str, Any]:
    known = {"max_requests_per_1_minute": 600, "max_tokens_per_1_minute": 150_000} | project.rate_limits.get(model, {})
    return {"object": "project.rate_limit", "id": f"rl-{model}", "model": model, **known}


def _spent_this_month(request: Request, org: OrganizationState, project_id: str | None) -> Decimal:
    sandbox = sandbox_of(request)
    today = sandbox.today()
    rows = (
        row
        for number in range(1, today.day + 1)
        for row in sandbox.world.openai.costs(org.org.id, today.replace(day=number), sandbox.now())
    )
    return exact_sum(row.amount_usd for row in rows if project_id in (None, row.project_id))


def _cents(body: dict[str, Any], at_least: int) -> int:
    cents = body.get("threshold_amount")
    if not isinstance(cents, int) or isinstance(cents, bool) or cents < at_least:
        raise OpenAIError(400, f"threshold_amount must be whole cents, at least {at_least}.", param="threshold_amount")
    if body.get("currency") != "USD" or body.get("interval") != "month":
        raise OpenAIError(400, "Only currency 'USD' and interval 'month' are supported.")
    return cents


def _alert_from(alert_id: str, body: dict[str, Any]) -> Alert:
    channel = body.get("notification_channel")
    if not isinstance(channel, dict) or channel.get("type") != "email":
        raise OpenAIError(400, "notification_channel must be of type 'email'.", param="notification_channel")
    recipients = channel.get("recipients")
    if not isinstance(recipients, list) or not all(isinstance(each, str) for each in recipients):
        raise OpenAIError(400, "recipients must be a list of addresses.", param="notification_channel")
    return Alert(alert_id, _cents(body, at_least=0), recipients, channel.get("subject_prefix"))
