"""`docs/specs.md`: every field of every spec, from the JSON Schema and the texts in the sources."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import TypeAlias, cast

from pipeline.contracts.base import Contract
from pipeline.contracts.specs import spec_schema

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = dict[str, Json]

INTRODUCTION = """\
# Specs

What a run is asked to do, as JSON: one heading for each kind, then the parts they share. This page
is made from the code: `make docs` writes it, and `python -m pipeline schema` prints the same as
JSON Schema. `examples/specs/` has a document of each kind. Unknown keys, wrong types and values out
of range are errors that name the dotted path. A field without a default must be given. Documents of
earlier versions of a kind are still read.
"""
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them",
    "minLength": "",  # that a text is not empty goes without saying
    "maxLength": "at most {} characters",
    "pattern": "matches `{}`",
}


def spec_page() -> str:
    """The page in Markdown."""
    schema = cast(Schema, spec_schema())
    parts = cast(dict[str, Schema], schema["$defs"])
    mapping = cast(dict[str, str], cast(Schema, schema["discriminator"])["mapping"])
    kinds = {kind: _ref_name(ref) for kind, ref in mapping.items()}
    sections = [_section(f"## {kind}", parts[name], name) for kind, name in kinds.items()]
    shared = sorted(parts.keys() - kinds.values())
    sections.append("## Parts\n")
    sections += [_section(f"### {name}", parts[name], name) for name in shared]
    return "\n".join([INTRODUCTION, *sections])


def _section(heading: str, schema: Schema, name: str) -> str:
    properties = cast(dict[str, Schema], schema["properties"])
    required = cast(list[str], schema.get("required", []))
    texts = _field_texts(name)
    lines = [heading, "", str(schema.get("description", "")), ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for field, description in properties.items():
        # What a factory makes is an empty object; the schema leaves it out.
        default = "" if field in required else f"`{_compact(description.get('default', {}))}`"
        cells = (f"`{field}`", _type(description), default, texts.get(field, ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _type(schema: Schema) -> str:
    """The type in words, with its limits."""
    limits = [words.format(schema[key]) for key, words in LIMITS.items() if key in schema and words]
    return ", ".join([_bare_type(schema), *limits])


def _bare_type(schema: Schema) -> str:
    if "$ref" in schema:
        name = _ref_name(str(schema["$ref"]))
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{_compact(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{_compact(value)}`" for value in cast(list[Json], schema["enum"]))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in cast(list[Schema], schema[several]))
    match schema.get("type"):
        case "array":
            return f"list of {_type(cast(Schema, schema['items']))}"
        case "object":
            return f"object of {_type(cast(Schema, schema['additionalProperties']))}"
        case one:
            return str(one)


def _ref_name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _field_texts(name: str) -> Mapping[str, str]:
    """The text below each field in the source of a contract and of what it inherits from."""
    # A set: a contract with two parents is found below each of them.
    (model,) = {model for model in _contracts(Contract) if model.__name__ == name}
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Contract):
            texts |= dict(_texts_in(base))
    return texts


def _contracts(base: type[Contract]) -> Iterator[type[Contract]]:
    for model in base.__subclasses__():
        yield model
        yield from _contracts(model)


def _texts_in(model: type[Contract]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    body = cast(ast.ClassDef, definition).body
    for field, text in itertools.pairwise(body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, " ".join(words.split())
