"""Files that come in: as the body itself (text/csv), or as the field `file` of a form, as browsers send them."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from api.limits import body_bytes_max
from core.errors import InputError

_FORM = "multipart/form-data"
_NAME_MAX = 255


@dataclass(frozen=True)
class Upload:
    """A file's bytes, and what it was called."""

    content: bytes
    file_name: str | None


async def _read_file(request: Request) -> Upload:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        return Upload(await request.body(), None)
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InputError("the form has no field `file` that holds a file: send one")
        name = (file.filename or "").replace("\\", "/").rpartition("/")[2]
        printable = "".join(character for character in name if character.isprintable())
        return Upload(await file.read(), printable[:_NAME_MAX] or None)


File = Annotated[Upload, Depends(_read_file)]


def takes_file(example: str, *, bytes_max: int) -> dict[str, Any]:
    """What a route that takes a CSV file says of its body, for its `openapi_extra`."""
    form = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
    return {
        **body_bytes_max(bytes_max),
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": example},
                _FORM: {"schema": form},
            },
        },
    }
