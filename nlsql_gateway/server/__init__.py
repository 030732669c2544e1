"""Sockets: the only room that speaks ``wire``.

Glossary: the *gateway* is all clients of one process, a *worker* when there are several (``workers.py`` keeps them); a
*session* is one client joined to one upstream connection, ``requests`` what the client sends and ``responses`` what the
upstream answers, the *conversation* where both stand; a *pipe* is one socket; the *relay* passes bytes on and looks at
message headers; an *account* is what the audit log is told of one run; the *gate* is admission, as a session sees it; a
*turn* is one of the event loop: its records are written before its statements leave; *names* are those of prepared
statements and portals, *effects* what SQL does to them, *renewals* what must be admitted again; a *refusal* goes
upstream in the place of what may not; *pins* are settings that clients cannot change, *pooling* how they come into
force behind PgBouncer.

``listener.py`` is the way in: accept, ``login.py`` and ``authenticate.py`` (``tls.py``, ``users.py``,
``certificates.py``), ``opening.py`` and ``connect.py`` for the upstream (``upstream_login.py``; ``passthrough.py``
where the client logs in there itself), then ``session.py`` to the end. A CancelRequest goes by ``cancel_routes.py``.
``postgres.py`` is something else: the gateway's own connections, for the catalog (``catalog_reading.py``), EXPLAIN and
``nlsql-gateway check`` (``probe.py``); so is ``client.py``, which is ``nlsql-gateway ask``.
"""
