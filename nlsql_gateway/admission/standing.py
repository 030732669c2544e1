"""Standing: a connection's person as the policy in force sees them at this moment, and what judgements depend on.

It is asked for before every statement and every run, and nearly always is what it was. So it is kept for each
connection, until there is another policy or another picture of the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from nlsql_gateway.admission.values import Client, Database
from nlsql_gateway.audit import Origin
from nlsql_gateway.policy import Policy
from nlsql_gateway.sql import Catalog

PRESENCES = 10_000
"""Connections, and connections whose person has other roles than at login, that are kept in mind."""


class Standing:
    """Of one connection, frozen."""

    def __init__(self, client: Client, context: tuple[str, str, str], is_known: bool) -> None:
        self.client = client
        "With the roles and attributes that the policy gives at this moment, from this address."
        self.context = context
        "(version of the policy, version of the catalog, the person with the roles that count)."
        self.is_known = is_known
        "The catalog was read, or none is needed."


class Standings:
    """``of`` is to be called anew whenever something is about to be decided or to run."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """As that of ``Admission``."""
        self._clock = clock
        self._known: dict[Origin, Standing] = {}
        self._decides: Policy | None = None
        self._catalogs: dict[str, Catalog | None] = {}
        "What ``_known`` was made with: nothing older is kept alive."
        self._presences: dict[tuple[Origin, str, str], Client] = {}
        "So that what records have in common is encoded once for a connection, whatever roles count."

    def of(self, client: Client, policy: Policy, database: Callable[[str], Database]) -> Standing:
        """``client`` as it was at login; ``policy`` and what ``database`` has are those in force."""
        name = client.database
        catalog = None if policy.pass_through else database(name).catalog()
        if policy is not self._decides or catalog is not self._catalogs.get(name):
            self._known.clear()
            self._decides = policy
            self._catalogs[name] = catalog
        found = self._known.get(client.origin)
        if found is None or policy.depends_on_presence:
            if len(self._known) >= PRESENCES:
                self._known.clear()
            present = self._present(client, policy)
            version = catalog.version if catalog is not None else ""
            context = (policy.version, version, present.principal.known_as)
            found = Standing(present, context, catalog is not None or policy.pass_through)
            self._known[client.origin] = found
        return found

    def _present(self, client: Client, policy: Policy) -> Client:
        name = client.principal.name
        if policy.depends_on_presence:
            principal = policy.present(name, client.host, datetime.fromtimestamp(self._clock() / 1e9, UTC))
        else:
            principal = policy.users.get(name) or policy.principal(name)
        if principal is client.principal or principal == client.principal:
            return client
        key = (client.origin, policy.version, principal.known_as)
        found = self._presences.get(key)
        if found is None:
            if len(self._presences) >= PRESENCES:
                self._presences.clear()
            self._presences[key] = found = replace(client, principal=principal)
        return found
