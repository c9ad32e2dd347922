"""Requests made from the OpenAPI document: every operation, with a body that its schema allows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

_numbers = count(1)
_TEXTS = {
    "date": "2017-06-29",
    "date-time": "2017-06-29T12:00:00Z",
    "email": "somebody@firm.example",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the document describes it."""

    method: str
    path: str
    content: Mapping[str, Any]
    document: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def permission(self) -> str:
        """What a caller needs."""
        return str(self.content["x-permission"])

    @property
    def path_parameters(self) -> list[str]:
        """Names in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def query_parameters(self) -> dict[str, Any]:
        """Schema of each field of the query."""
        return {one["name"]: one["schema"] for one in self.content.get("parameters", []) if one["in"] == "query"}

    @property
    def is_stream(self) -> bool:
        """Whether the answer has no end."""
        return "text/event-stream" in self.content["responses"].get("200", {}).get("content", {})

    @property
    def body_schema(self) -> Mapping[str, Any] | None:
        """What the JSON body must fit; None where there is none."""
        found = self.content.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        return None if found is None else self._resolved(found)

    def body_properties(self) -> set[str]:
        """Names of all fields of the body."""
        return set(self.body_schema.get("properties", {})) if self.body_schema else set()

    def request(self, path: Mapping[str, Any], values: Mapping[str, Any], **query: Any) -> dict[str, Any]:
        """Arguments for a test client: the path filled in, a body with `values` where it has such fields."""
        url = self.path
        for name in self.path_parameters:
            url = url.replace(f"{{{name}}}", str(path[name]))
        made: dict[str, Any] = {"method": self.method.upper(), "url": url, "params": query, "headers": {}}
        for one in self.content.get("parameters", []):
            if one["in"] == "header" and one["name"].lower() == "idempotency-key":
                made["headers"]["Idempotency-Key"] = f"made-{next(_numbers)}"
            if one["in"] == "query" and one.get("required") and one["name"] not in query:
                made["params"] = {**made["params"], one["name"]: self._sample(one["schema"])}
        content = self.content.get("requestBody", {}).get("content", {})
        if self.body_schema is not None:
            made["json"] = self._object(self.body_schema, values)
        elif "text/csv" in content:
            made["content"] = content["text/csv"].get("example", "symbol,quantity\nHELD,1\n")
            made["headers"]["Content-Type"] = "text/csv"
        return made

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema or "oneOf" in schema:
            choices = [self._resolved(one) for one in schema.get("anyOf") or schema["oneOf"]]
            told = {name: schema[name] for name in ("examples", "example") if name in schema}
            return {**next((one for one in choices if one.get("type") != "null"), {}), **told}
        return schema

    def _object(self, schema: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        if "properties" not in schema:
            return self._sample(schema)
        properties, required = schema["properties"], schema.get("required", [])
        # A change without a field changes nothing: the first optional one stands in.
        chosen = required or list(properties)[:1]
        body = {name: self._sample(properties[name]) for name in chosen}
        return {**body, **{name: value for name, value in values.items() if name in properties}}

    def _sample(self, schema: Mapping[str, Any]) -> Any:
        schema = self._resolved(schema)
        for told in ("const", "default", "example"):
            if schema.get(told) is not None:
                return schema[told]
        for told in ("enum", "examples"):
            if schema.get(told):
                return schema[told][0]
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, {}) if "properties" in schema else {}
        if kind == "array":
            return [self._sample(schema["items"]) for _ in range(schema.get("minItems", 0) or 1)]
        if kind in ("integer", "number"):
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        if kind == "boolean":
            return True
        return _TEXTS.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every operation of the document."""
    for path, methods in document["paths"].items():
        for method, content in methods.items():
            yield Operation(method, path, content, document)
