"""The policy file as pydantic sees it: the keys, their types and defaults. ``loading.py`` turns it into a Policy."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from nlsql_gateway.policy.decision import Reason


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_grant(value: object) -> object:
    return {"tables": value} if isinstance(value, str) else value


def _as_mask(value: object) -> object:
    return {value: {}} if isinstance(value, str) else value


def _as_text(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _as_bound(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_setting(value: object) -> object:
    """YAML reads a bare on or off as a Boolean."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int) else value


def _not_empty(texts: list[str]) -> list[str]:
    if not texts:
        raise ValueError("an empty list names nothing; write at least one, or leave the key out")
    return texts


Texts = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
SomeTexts = Annotated[Texts, AfterValidator(_not_empty)]
"""Not an empty list where that would mean nothing at all, and so leave open what somebody thought was closed."""
ScalarValue = Annotated[StrictBool | StrictInt | StrictStr, BeforeValidator(_as_text)]
SettingText = Annotated[str, BeforeValidator(_as_setting, json_schema_input_type=str | bool | int)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class User(_Part):
    roles: Texts
    attributes: dict[str, ScalarValue | list[ScalarValue]] = Field(default_factory=dict)
    "What row filters call person.…"


class Read(_Part):
    tables: SomeTexts
    "schema.table; * stands for any characters: public.*"
    but_not: Texts = Field(default_factory=list)
    "Tables left out of a pattern."
    columns: Texts | None = None
    "Only these; all when left out."
    hide: Texts = Field(default_factory=list)
    "All but these."
    views: bool = False
    "A pattern covers views and materialised views too."
    because: str = ""
    "Told to the person who is refused a column that this leaves out."


class Denied(_Part):
    tables: SomeTexts
    columns: SomeTexts | None = None
    "Only these; the whole tables when left out."
    because: str = ""
    "Words for the person refused."


class RowsForAll(_Part):
    tables: SomeTexts
    using: str
    "A condition in SQL on the table's columns; person.… is the person's attribute."


class Rows(RowsForAll):
    as_: Literal["permissive", "restrictive"] = Field("restrictive", alias="as")
    "Of the permissive ones of a role one must be true; of the restrictive ones, all."


Denials = Annotated[
    list[Annotated[Denied, BeforeValidator(_as_grant)]],
    BeforeValidator(_as_list, json_schema_input_type=str | list[str | Denied]),
]


class Nothing(_Part):
    pass


class Constant(_Part):
    value: SettingText


class Partial(_Part):
    first: int = Field(0, ge=0, le=100)
    last: int = Field(0, ge=0, le=100)
    fill: str = "***"


class Rounded(_Part):
    to: int = Field(gt=0)


class Bucket(_Part):
    bounds: Annotated[
        list[Annotated[str, BeforeValidator(_as_bound, json_schema_input_type=str | float)]],
        Field(min_length=1, max_length=100),
    ]
    "Where each bucket begins, ascending: numbers, or dates with or without a time."


class MaskWith(_Part):
    """Exactly one of them."""

    null: Nothing | None = None
    constant: Constant | None = None
    partial: Partial | None = None
    hash: Nothing | None = None
    year: Nothing | None = None
    round: Rounded | None = None
    bucket: Bucket | None = None

    @model_validator(mode="after")
    def _one(self) -> MaskWith:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"write one of {', '.join(type(self).model_fields)}")
        return self


class Mask(_Part):
    columns: SomeTexts
    "schema.table.column; * stands for any characters in schema and table."
    with_: Annotated[MaskWith, BeforeValidator(_as_mask, json_schema_input_type=str | MaskWith)] = Field(alias="with")


class AggregateOnly(_Part):
    columns: SomeTexts
    "schema.table.column; * stands for any characters in schema and table."
    groups_of: int = Field(5, ge=2)
    "The least number of rows in a group."
    functions: Annotated[Texts, Field(min_length=1)] = Field(
        default=["count", "sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"]
    )
    because: str = ""
    "Told to the person who is refused single values."


class Limited(_Part):
    rows: StrictInt | None = Field(default=None, gt=0)
    "That one statement may return."
    bytes: StrictInt | None = Field(default=None, gt=0)
    "Of row data that one statement may return."
    timeout: SettingText | None = None
    "The most that statement_timeout may be: 30s."
    cost: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    "The planner's total cost of one statement, as EXPLAIN says it."


Grants = Annotated[
    list[Annotated[Read, BeforeValidator(_as_grant)]],
    BeforeValidator(_as_list, json_schema_input_type=str | list[str | Read]),
]
SettingTexts = Annotated[
    list[SettingText],
    BeforeValidator(
        lambda value: value if isinstance(value, list) else [value],
        json_schema_input_type=SettingText | list[SettingText],
    ),
]


class When(_Part):
    hours: str | None = None
    "08:00-18:00; over midnight when the second is the earlier one. Left out, all day."
    days: SomeTexts | None = None
    "mon-fri, or a list of days and ranges; left out, every day."
    zone: str = "UTC"
    "Of these hours and days: a name of the IANA's, such as Europe/Berlin."

    @model_validator(mode="after")
    def _says_when(self) -> When:
        if self.hours is None and self.days is None:
            raise ValueError("write hours or days; without them the role counts at any time")
        return self


class RoleFile(_Part):
    when: When | None = None
    "Outside of it the role gives nothing."
    from_: SomeTexts | None = Field(None, alias="from")
    "Networks of client addresses; from elsewhere the role gives nothing."
    because: str = ""
    "Told to the person to whom it gives nothing now, or from this address."
    read: Grants = Field(default_factory=list)
    deny: Denials = Field(default_factory=list)
    "Not to be read, whatever other roles give."
    rows: list[Rows] = Field(default_factory=list)
    masks: list[Mask] = Field(default_factory=list)
    aggregate_only: list[AggregateOnly] = Field(default_factory=list)
    limits: Limited = Limited()
    mode: Literal["enforce", "shadow"] = "enforce"
    "shadow: for people all of whose roles say so."


class Functions(_Part):
    allow: Texts = Field(default_factory=list)
    deny: Texts = Field(default_factory=list)


class Catalogs(_Part):
    open: Texts = Field(default_factory=list)
    close: Texts = Field(default_factory=list)


class Settings(_Part):
    allow: dict[str, SettingTexts] = Field(default_factory=dict)
    "Name to the allowed values; any or timeout instead of a list."
    deny: Texts = Field(default_factory=list)
    pin: dict[str, SettingText] = Field(default_factory=dict)


class Statements(_Part):
    deny: Texts = Field(default_factory=list)


def _as_reason(value: str) -> str:
    if value not in {"allow", *(reason.value for reason in Reason)}:
        raise ValueError(f"write allow, or one of {', '.join(reason.value for reason in Reason)}")
    return value


class Case(_Part):
    """What a person may do, for ``nlsql-gateway policy test``. It decides nothing."""

    as_: str = Field(alias="as")
    "The person."
    statement: str
    expect: Annotated[str, AfterValidator(_as_reason)]
    "allow, or the reason of the refusal."
    contains: Texts = Field(default_factory=list)
    "Parts of what is sent."
    lacks: Texts = Field(default_factory=list)
    "What must not be part of it."
    from_: str = Field("127.0.0.1", alias="from")
    "The client's address."
    at: datetime | None = None
    "The moment, UTC where it has no zone; left out, now."


Worded = Literal["write", "statement_kind", "function", "setting", "construct", "limit"]
"""Reasons that speak of no table: those that do have the words of its rules, or ``contact``."""


class PolicyFile(_Part):
    version: Literal[1]
    name: str = Field(min_length=1)
    pass_through: bool = False
    "Everything is allowed and recorded; nothing else in this file may be set."
    default: Texts | None = None
    "Roles of users who are not listed; left out, they may read nothing."
    attributes: dict[str, str] = Field(default_factory=dict)
    "Attribute -> its PostgreSQL type."
    users: dict[str, User] = Field(default_factory=dict)
    roles: dict[str, RoleFile] = Field(default_factory=dict)
    contact: str = ""
    "Whom to ask for more: told with refusals."
    because: dict[Worded, str] = Field(default_factory=dict)
    "Reason of a refusal -> words for the person refused."
    deny: Denials = Field(default_factory=list)
    "Not to be read by anybody."
    rows: list[RowsForAll] = Field(default_factory=list)
    "They restrict every role."
    search_path: Texts | None = None
    hash_key: str | None = Field(None, min_length=16)
    "The secret of the hash mask."
    functions: Functions = Functions()
    catalogs: Catalogs = Catalogs()
    settings: Settings = Settings()
    statements: Statements = Statements()
    limits: Limited = Limited()
    "The most for everybody; a role may have less."
    mode: Literal["enforce", "shadow"] = "enforce"
    "shadow: what would be refused for reading too much is recorded, and runs."
    cases: list[Case] = Field(default_factory=list)
    "For nlsql-gateway policy test."

    @model_validator(mode="before")
    @classmethod
    def _nothing_besides(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("pass_through") is True:
            besides = data.keys() - {"version", "name", "pass_through"}
            if besides:
                raise ValueError(
                    f"pass_through allows everything, so it cannot stand beside {', '.join(sorted(besides))}"
                )
        return data
