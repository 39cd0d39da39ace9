"""/organization/projects: list, create, read, rename, archive. There is no delete and no way back from archived."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import (
    OpenAIError,
    body_of,
    epoch_of,
    listing,
    now_of,
    organization,
    project_of,
    text_of,
)
from tokenboard_etl.providers.sandbox.openai_state import ProjectState


async def list_projects(request: Request) -> Response:
    org, now = organization(request), now_of(request)
    archived_too = request.query_params.get("include_archived") == "true"
    shown = (p for p in org.projects.values() if archived_too or p.archived_since(now) is None)
    return listing(request, (project_json(p, now) for p in shown))


async def create_project(request: Request) -> Response:
    org = organization(request)
    body = await body_of(request)
    project_id = org.new_id("proj_")
    project = ProjectState(project_id, epoch_of(request), text_of(body, "name"), None)
    project.external_key_id = body.get("external_key_id")
    project.residency = body.get("residency") or project.residency
    project.hidden_reads = org.first_reads_hidden(project_id)
    org.projects[project_id] = project
    return ExactJSON(project_json(project, now_of(request)))


async def get_project(request: Request) -> Response:
    _, project = project_of(request)
    if project.hidden_reads:
        project.hidden_reads -= 1
        raise OpenAIError(404, f"The project {project.id} was not found", code="not_found")
    return ExactJSON(project_json(project, now_of(request)))


async def update_project(request: Request) -> Response:
    _, project = project_of(request)
    if project.is_default:
        raise OpenAIError(400, "The default project cannot be updated.")
    refuse_archived(project, now_of(request))
    body = await body_of(request)
    if body.get("name") is not None:
        project.given_name = text_of(body, "name")
    if "external_key_id" in body:
        project.external_key_id = body["external_key_id"]
    return ExactJSON(project_json(project, now_of(request)))


async def archive_project(request: Request) -> Response:
    _, project = project_of(request)
    if project.is_default:
        raise OpenAIError(400, "The default project cannot be archived.")
    if project.archived_since(now_of(request)) is None:
        project.archived_at = epoch_of(request)
        project.accounts.clear()
        project.keys = {key.id: key for key in project.keys.values() if key.account_id is None}
    return ExactJSON(project_json(project, now_of(request)))


ROUTES = [
    Route("/organization/projects", list_projects),
    Route("/organization/projects", create_project, methods=["POST"]),
    Route("/organization/projects/{project_id}", get_project),
    Route("/organization/projects/{project_id}", update_project, methods=["POST"]),
    Route("/organization/projects/{project_id}/archive", archive_project, methods=["POST"]),
]


def project_json(project: ProjectState, now: datetime) -> dict[str, Any]:
    archived = project.archived_since(now)
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name_at(now),
        "created_at": project.created_at,
        "archived_at": archived,
        "status": "active" if archived is None else "archived",
        "external_key_id": project.external_key_id,
        "residency": project.residency,
    }


def refuse_archived(project: ProjectState, now: datetime) -> None:
    if project.archived_since(now) is not None:
        raise OpenAIError(400, f"The project {project.id} is archived and cannot be used or updated.")
