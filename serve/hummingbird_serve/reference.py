"""The page that describes the API, made of its OpenAPI document; it loads nothing and runs no script."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True
    )


def reference_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    template = Path(__file__).with_name("reference.html").read_text(encoding="utf-8")
    schemas = document["components"]["schemas"]
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = (
                operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            )
            operations.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "text": operation.get("description", ""),
                    "parameters": [
                        {
                            "name": one["name"],
                            "where": one["in"],
                            "type": _type(one["schema"]),
                            "text": one.get("description", ""),
                        }
                        for one in operation.get("parameters", [])
                    ],
                    "body": _fields(body) if body else [],
                    "answers": [
                        {"status": status, "text": answer["description"], "schema": _answer(answer)}
                        for status, answer in operation["responses"].items()
                    ],
                }
            )
    objects = [{"name": name, "fields": _fields(schema)} for name, schema in schemas.items()]
    page = _environment().from_string(template)
    return page.render(title=document["info"]["title"], operations=operations, objects=objects)


def _fields(schema: dict[str, Any]) -> list[dict[str, str]]:
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "type": _type(field) + ("" if name in required else ", optional"),
            "text": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    bounds = [
        f"{sign} {schema[key]:g}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema
    ]
    return " ".join([str(schema.get("type", "any")), *bounds])


def _answer(answer: dict[str, Any]) -> str:
    return ", ".join(
        _type(content["schema"]) if content.get("schema") else kind
        for kind, content in answer.get("content", {}).items()
    )
