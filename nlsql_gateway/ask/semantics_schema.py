"""The semantics file as pydantic sees it: the keys, their types and defaults. ``semantics_loading.py`` reads it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nlsql_gateway.ask.semantics import Type


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_metric(value: object) -> object:
    return {"sql": value} if isinstance(value, str) else value


def _as_term(value: object) -> object:
    return {"meaning": value} if isinstance(value, str) else value


def _as_filter(value: object) -> object:
    return {"condition": value} if isinstance(value, str) else value


def _as_parameter(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class MetricFile(_Part):
    sql: Text
    "An expression over columns, each written table.column: sum(order_items.revenue)"
    tables: Texts = Field(default_factory=list)
    "The tables that it is of, where the expression does not name them."
    description: str = ""
    "Said beside it."
    also: Texts = Field(default_factory=list)
    "Other words for it."


class FilterFile(_Part):
    condition: Text
    "What holds unless the question says otherwise: orders.status <> 'cancelled'"
    tables: Texts = Field(default_factory=list)
    "The tables that it is about, where the condition does not name them."
    unless: Texts = Field(default_factory=list)
    "Words that say otherwise, beside the values in the condition."


class TermFile(_Part):
    meaning: Text
    "In words."
    tables: Texts = Field(default_factory=list)
    "Whoever may not read these is not told."


class ParameterFile(_Part):
    type: Type = "text"
    values: Texts = Field(default_factory=list)
    "The only values that it may have, as they stand in the database; in a question their case does not matter."


class QuestionFile(_Part):
    question: Text
    "{name} stands for a parameter: revenue of {region} in {year}"
    also: Texts = Field(default_factory=list)
    "Other ways to say it, with the same parameters."
    sql: Text
    "One SELECT; :name stands for a parameter, or $1 for the first one of the question."
    parameters: dict[
        str, Annotated[ParameterFile, BeforeValidator(_as_parameter, json_schema_input_type=Type | ParameterFile)]
    ] = Field(default_factory=dict)
    "Their types, or types and values; what is not listed is text."
    verified_by: Text
    "Who looked at the SQL."
    verified_on: date
    "When."


class DatabaseFile(_Part):
    synonyms: dict[str, Texts] = Field(default_factory=dict)
    "A word and the table or table.column that it means."
    metrics: dict[str, Annotated[MetricFile, BeforeValidator(_as_metric, json_schema_input_type=str | MetricFile)]] = (
        Field(default_factory=dict)
    )
    "A figure and how it is computed."
    joins: Texts = Field(default_factory=list)
    "How tables are joined where no key says so: a.x = b.y"
    default_filters: list[
        Annotated[FilterFile, BeforeValidator(_as_filter, json_schema_input_type=str | FilterFile)]
    ] = Field(default_factory=list)
    "Conditions that hold unless the question says otherwise."
    glossary: dict[str, Annotated[TermFile, BeforeValidator(_as_term, json_schema_input_type=str | TermFile)]] = Field(
        default_factory=dict
    )
    "A term and what it means, in words."
    questions: list[QuestionFile] = Field(default_factory=list)
    "Verified: answered from their SQL, without the model."


class SemanticsFile(_Part):
    version: Literal[1]
    "Of the file's form."
    databases: dict[str, DatabaseFile]
    "By the name of the database."


def json_schema() -> dict[str, Any]:
    """For editors (https://json-schema.org)."""
    found = SemanticsFile.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "semantics of nlsql-gateway"
    return found
