"""PostgreSQL's own functions. The rule: those of pg_catalog that are all immutable or stable may be called, these
exceptions apart; volatile ones only when they are named here or in the policy.

Immutable and stable is PostgreSQL's promise that a function changes nothing (manual, 36.7), not that it tells nothing.
"""

from __future__ import annotations

import re

HARMLESS_VOLATILE = frozenset(
    {
        *("random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "array_sample", "array_shuffle"),
        *("clock_timestamp", "timeofday"),
        "pg_advisory_unlock_all",  # asyncpg's reset; nobody gets a lock to lose here
        *("pg_is_in_recovery", "pg_jit_available", "pg_partition_ancestors", "pg_partition_tree"),
        *("pg_collation_actual_version", "pg_database_collation_actual_version"),
    }
)

_TELLING = (
    r"(table|schema|database|cursor|query)_to_xml.*",  # run a query of their own: no table stands in the statement
    r"pg_stat_.*",  # other people's statements, row counts, activity
    r"pg_(mcv_list_items|config|cursor|prepared_statement|relation_filepath|tablespace_location)",
    r"pg_(get_functiondef|get_function_sqlbody|get_publication_tables|get_replication_slots|show_all_file_settings)",
    r"pg_current_xact_id|txid_current",  # assign a transaction id
    r"pg_(get_sequence_data|listening_channels)",
    r"currtid2?|pg_event_trigger_.*|binary_upgrade_.*|fmgr_.*_validator",
)
_REFUSED = re.compile("|".join(f"(?:{pattern})" for pattern in _TELLING))

SETTINGS = frozenset({"set_config", "current_setting"})
"""Decided on by the table of settings, not here."""

ALL_SETTINGS = "pg_show_all_settings"
"""What is behind pg_settings. pgAdmin calls it as it connects, for the names alone."""

CASTS = frozenset(
    {
        *("aclitem", "cid", "inet", "json", "jsonb", "jsonpath", "pg_snapshot", "refcursor", "tid", "tsquery"),
        *("tsvector", "txid_snapshot", "uuid", "xid8"),
        *("regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc"),
        *("regprocedure", "regrole", "regtype"),
    }
)
"""Types of pg_catalog for which there is no function: ``tsquery(x)`` is ``x::tsquery`` (manual, 10.3, rule 3)."""

NAMING = frozenset(
    {
        *(
            "regclass",
            "regclassin",
            "to_regclass",
            "row_security_active",
            "pg_relation_is_updatable",
            "pg_column_is_updatable",
        ),
        *("has_table_privilege", "has_any_column_privilege", "has_column_privilege", "pg_get_viewdef"),
        *("pg_get_serial_sequence", "pg_relation_filenode", "pg_get_partkeydef"),
        *("pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"),
    }
)
"""Take a relation by its name in a string: the name must be one that the person may read."""


def refused(name: str) -> bool:
    """Whether a function of pg_catalog tells or does too much, whatever its volatility."""
    return _REFUSED.fullmatch(name) is not None
