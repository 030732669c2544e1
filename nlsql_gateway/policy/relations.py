"""Pass: every relation must be granted, or be an open system relation; what of it may be read is found here."""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.policy.access import access
from nlsql_gateway.policy.builtin_functions import NAMING
from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.names import find, is_open, split
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.policy.sensitive import names_only, without_sensitive
from nlsql_gateway.policy.words import why_table
from nlsql_gateway.sql.survey import RelationUse, constant

MAX_RELATIONS = 500
"""In one statement: the work on columns grows with their number times that of the columns."""


def authorise(case: Case) -> Case | Deny:
    if len(case.survey.tables) > MAX_RELATIONS:
        return case.deny(Reason.LIMIT, f"the statement reads more than {MAX_RELATIONS} relations", sqlstate="54000")
    reads: list[Read] = []
    for use in case.survey.tables:
        read = _read(case, use)
        if isinstance(read, Deny):
            return read
        if read.restricted and use.sampled:
            return case.deny(
                Reason.CONSTRUCT,
                f"TABLESAMPLE is not allowed on {use.written}: only a part of it may be read",
                hint="use ORDER BY random() LIMIT …",
                location=use.location,
            )
        reads.append(read)
    return _named_in_strings(case) or replace(case, reads=tuple(reads))


def _read(case: Case, use: RelationUse) -> Read | Deny:
    if use.catalog and use.catalog != case.catalog.database:
        return case.deny(
            Reason.UNKNOWN_NAME,
            f"cross-database references are not implemented: {use.written}",
            sqlstate="0A000",
            location=use.location,
        )
    key = find(use.schema, use.name, case.catalog, case.policy)
    if key is None:
        # PostgreSQL's own words, which tools take the name from (Superset does).
        return case.deny(
            Reason.UNKNOWN_NAME, f'relation "{use.written}" does not exist', sqlstate="42P01", location=use.location
        )
    if key[0] in SYSTEM_SCHEMAS:
        if is_open(key, case.policy):
            return Read(use, key, without_sensitive(key, use, case), system=True)
        named = names_only(key, use, case)
        if named is not None:
            return Read(use, key, named, system=True)
    else:
        found = access(case.catalog.relations[key], case.principal, case.catalog, case.policy)
        if found is not None:
            return Read(use, key, found)
    why = why_table(key, case)
    return case.deny(
        Reason.NO_RULE,
        f"permission denied for {use.written}",
        hint=why.hint,
        location=use.location,
        applied=why.applied,
    )


def _named_in_strings(case: Case) -> Deny | None:
    """regclass and some functions reach a relation by its name in a string, with no table in the statement."""
    named = [(cast.constant, cast.location) for cast in case.survey.casts if cast.type[-1:] == ("regclass",)]
    named += [
        (constant(argument), use.location)
        for use in case.survey.functions
        if use.name in NAMING
        for argument in use.arguments
    ]
    for text, location in named:
        parts = split(text) if text is not None else None
        if parts is None:
            continue
        key = find(parts[-2] if len(parts) > 1 else "", parts[-1], case.catalog, case.policy)
        if key is None or key[0] in SYSTEM_SCHEMAS:
            continue
        if access(case.catalog.relations[key], case.principal, case.catalog, case.policy) is None:
            why = why_table(key, case)
            return case.deny(
                Reason.NO_RULE,
                f"permission denied for {text}",
                hint=why.hint,
                location=location,
                applied=why.applied,
            )
    return None
