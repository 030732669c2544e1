"""System relations that everybody may read by default: what clients need to describe tables and types.

They tell names, types, comments and definitions, never data: a policy that must hide the names of tables too closes
pg_class and loses psql's ``\\d`` and every tool's schema browser. Closed by being left out: passwords and role settings
(pg_authid, pg_shadow, pg_db_role_setting), data in statistics (pg_statistic*, pg_stats*), large objects, connection
strings of foreign servers and subscriptions, the server's files, other people's activity (pg_stat_activity, pg_locks).
"""

from __future__ import annotations

from collections.abc import Mapping

_PG_CATALOG = """
    pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extension_versions
    pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_database pg_default_acl
    pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper pg_foreign_server
    pg_foreign_table
    pg_group pg_index pg_indexes pg_inherits pg_init_privs pg_language pg_matviews pg_namespace pg_opclass pg_operator
    pg_opfamily pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_proc pg_publication
    pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel
    pg_seclabels pg_sequence pg_settings pg_shdepend pg_shdescription pg_shseclabel pg_stat_gssapi pg_stat_ssl
    pg_statistic_ext pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config
    pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_views
"""

OPEN = frozenset({("pg_catalog", name) for name in _PG_CATALOG.split()} | {("information_schema", "*")})

CLOSED = frozenset(
    ("information_schema", name)
    for name in (
        *("foreign_data_wrapper_options", "foreign_server_options", "foreign_table_options", "user_mapping_options"),
        *("_pg_foreign_data_wrappers", "_pg_foreign_servers", "_pg_foreign_tables", "_pg_user_mappings"),
        *("_pg_foreign_table_columns", "column_options"),
    )
)

TOLD = "what SHOW tells"
"""In the place of a setting's value: it is shown where SHOW may tell it."""

SENSITIVE: Mapping[str, Mapping[str, str]] = {
    "pg_class": {
        "reltuples": "(-1)::real",  # as if never analysed: how many rows a filter hides
        "relpages": "0",
        "relallvisible": "0",
        "relallfrozen": "0",
    },
    "pg_proc": {"prosrc": "NULL::text", "probin": "NULL::text", "prosqlbody": "NULL::pg_node_tree"},
    "pg_roles": {"rolconfig": "NULL::text[]"},
    "pg_user": {"useconfig": "NULL::text[]"},
    "pg_foreign_data_wrapper": {"fdwoptions": "NULL::text[]"},
    "pg_foreign_server": {"srvoptions": "NULL::text[]"},
    "pg_foreign_table": {"ftoptions": "NULL::text[]"},
    "pg_settings": {"setting": TOLD, "boot_val": TOLD, "reset_val": TOLD, "sourcefile": "NULL::text"},
}
"""Columns of open catalogs that nobody reads, and what stands in their place."""

NAMES_ONLY: Mapping[str, frozenset[str]] = {
    "pg_stat_all_tables": frozenset({"relid", "schemaname", "relname"}),
    "pg_stat_user_tables": frozenset({"relid", "schemaname", "relname"}),  # Metabase finds no table without it
}
"""Closed system relations that tools join for these columns alone; the others are NULL, until a policy opens them."""

NO_ROWS = frozenset(
    {
        *("pg_stat_activity", "pg_stat_database", "pg_locks", "pg_prepared_xacts"),
        *("pg_replication_slots", "pg_stat_replication", "pg_stat_wal_receiver", "pg_stat_subscription"),
        *("pg_statio_all_tables", "pg_stat_all_indexes", "pg_statio_all_indexes"),
        *("pg_subscription", "pg_db_role_setting"),
    }
)
"""Closed system relations that tools count or list: they have no rows, until a policy opens them.

pgAdmin counts the replication slots as it connects, its dashboard asks for what others do every second, and its tabs of
properties and statistics for the rest; DataGrip reads the locks. Refused, pgAdmin could not be used at all.
"""

SECRET = "pg_subscription", "subconninfo"
"""A column of one of these: whoever could read it is refused, as PostgreSQL refuses it."""

ALONE = "pg_db_role_setting"
"""One of these that is refused where a statement reads nothing else, so that nobody takes no rows for an answer; beside
others, as pgAdmin reads it for the properties of a database or role, it has no rows."""

SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema"})
