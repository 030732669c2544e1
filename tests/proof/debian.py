"""A ground on a server of another version: what a world needs of it, without the embedded server's psql."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg


@dataclass(frozen=True)
class Debian:
    """The server of one of Debian's packages (tests.server.debian_postgres); ``postgres`` needs no password."""

    port: int
    host: str = "127.0.0.1"

    def conninfo(self, database: str = "postgres") -> str:
        return f"host={self.host} port={self.port} user=postgres dbname={database} sslmode=disable"

    def execute(self, sql: str, database: str = "postgres") -> str:
        """The last statement's rows as ``psql -At`` shows those of one column."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
        return "\n".join("" if row[0] is None else str(row[0]) for row in rows)
