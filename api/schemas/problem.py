"""The one shape of an error (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """One field that is wrong."""

    field: str
    where: str = Field(alias="in", description="body, query, path, header or cookie")
    remedy: str


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:acis:problem:not_found",
                "title": "Not Found",
                "status": 404,
                "code": "not_found",
                "detail": "there is no client 12 here: look at the list of those that you may see",
                "request_id": "0197f3c2a1b4",
            }
        }
    )

    type: str
    title: str
    status: int
    code: str = Field(description="Stable: programs may depend on it.")
    detail: str = Field(description="A sentence for people.")
    request_id: str | None
    errors: list[FieldProblem] | None = None
