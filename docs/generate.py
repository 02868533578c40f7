"""Writes the generated pages: docs/configuration.md from the models, docs/proofs.md from the tests (``python -m docs.generate``)."""

import ast
import inspect
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from stacks import models, platform_models, tenant_models
from stacks.stack_secrets import CONDITIONAL, required_secrets

from . import proofs

TARGET = Path(__file__).with_name("configuration.md")

INTRODUCTION = """# Configuration

Generated from the models by `python -m docs.generate`; a test fails when it is stale.

Every file is checked as a whole before anything is created. Unknown keys, wrong types and keys that stand twice are
refused, all at once, each with its file, key and what to write. Text is never read as a number: `nodes: "2"`.

| file | read by | holds |
|---|---|---|
| `config/regions.yaml` | every stack | regions by name: [Region](#region) |
| `config/access.yaml` | every stack | administrators' SSH keys, and where people log in: [Access](#access) |
| `config/versions.yaml` | every stack | what machines install: [Versions](#versions) |
| `config/platform.yaml` | every stack | what runs in every region's cluster: [Platform](#platform) |
| `config/tenants.yaml` | every stack | tenants by name: [Tenant](#tenant) |
| `config/prices.yaml` | every stack | sizes and prices, with a date and a source: [Prices](#prices) |
| `Pulumi.shared.yaml` | `shared` | `hetzner-platform:stack`: [SharedStack](#sharedstack) |
| `Pulumi.prod.yaml`, `Pulumi.dr.yaml` | `prod`, `dr` | `hetzner-platform:stack`: [RegionalStack](#regionalstack) |
"""

SECRETS = """
## Secrets

Stored encrypted in the stack's file by `pulumi config set --secret <key> -s <stack>`; in clear they are refused.

| stack | key | what it is |
|---|---|---|
"""

EMULATORS = """
For emulators only: `hcloud:endpoint`, `hcloud:pollInterval`, `hcloud:pollFunction`, `cloudflare:baseUrl`,
`minio:minioServer`, `minio:minioSsl`. `make preview` passes them over.
"""


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION, SECRETS.rstrip("\n")]
    for stack in ("shared", "prod", "dr"):
        parts += [f"| `{stack}` | `{key}` | {purpose} |" for key, purpose in required_secrets(stack).items()]
    parts += [f"| `prod`, `dr` | `{each.key}` | {each.purpose} ({each.when}) |" for each in CONDITIONAL]
    parts.append(EMULATORS)
    everything = {**vars(models), **vars(platform_models), **vars(tenant_models)}
    shown = [model for model in everything.values() if _is_model(model)]
    parts += [_section(model) for model in shown]
    return "\n".join(parts) + "\n"


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, models.Model) and value not in (models.Model,)


def _section(model: type[BaseModel]) -> str:
    docs = _field_docs(model)
    lines = [
        f"## {model.__name__}",
        "",
        inspect.cleandoc(model.__doc__ or ""),
        "",
        "| key | type | default | |",
        "|---|---|---|---|",
    ]
    for name, field in model.model_fields.items():
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        lines.append(f"| `{name}` | {_type(field.annotation)} | {default} | {docs.get(name, '')} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        return "its own defaults"
    return "none" if value is None else f"`{value!r}`".replace("'", '"')


def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The text under each field, of the model and of what it inherits."""
    docs: dict[str, str] = {}
    for base in reversed([each for each in model.__mro__ if _is_model(each)]):
        body = ast.parse(inspect.getsource(base)).body[0]
        assert isinstance(body, ast.ClassDef)
        for first, second in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(first, ast.AnnAssign)
                and isinstance(second, ast.Expr)
                and isinstance(second.value, ast.Constant)
            ):
                assert isinstance(first.target, ast.Name)
                docs[first.target.id] = inspect.cleandoc(str(second.value.value)).replace("``", "`").replace("\n", " ")
    return docs


def _type(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(option) for option in arguments if option is not type(None))
    if origin is dict:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    return {"str": "text", "int": "number", "float": "number", "bool": "true or false", "date": "date"}.get(
        getattr(annotation, "__name__", ""), str(annotation)
    )


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    proofs.TARGET.write_text(proofs.render(), encoding="utf-8")
