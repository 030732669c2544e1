"""nlsql-gateway: a Postgres-wire-compatible proxy that answers questions in words.

The rooms, in the order in which a statement meets them:

- ``server``: sockets. Accepts a client, logs it in, opens its upstream connection, relays.
- ``wire``: the PostgreSQL protocol v3 without IO.
- ``admission``: READ FIRST. The one gate for statement text: classify, ask, decide, record.
- ``sql``: what a piece of SQL is. ``policy``: may it run, and in what form. Both pure.
- ``ask``: from a question in words to SQL, through a model behind the ``Generator`` seam.
- ``audit``: the append-only, hash-chained account of what was asked, decided and run.
- ``embedded``: the default that needs nothing installed: PostgreSQL, Triton, the model.
- ``evaluation``: how well questions are answered, asked through the port and scored strictly.
- ``config``, ``log``, ``errors``: settings, structured logs, the exceptions. ``yaml_lines``: YAML with its lines.
- ``cli``: the commands. ``app``: one function for each. ``serving``: where the parts of a gateway are joined, for one
  process or for several; ``worker``: the program of one of several; ``reader``: the program that reads large texts;
  ``policy_tools``: policy files checked, tested and compared; ``verification``: recorded questions verified;
  ``audit_tools``, ``audit_replay``: the log verified, proved, counted, decided on again; ``audit_serving``: it is
  signed, by the program ``signer`` that ``keeping`` keeps running; ``printing``: rows as text.

``downstream`` is towards the client and ``upstream`` towards PostgreSQL, everywhere.
"""

__version__ = "0.1.0.dev0"
