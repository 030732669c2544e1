"""Sockets: the only room that speaks ``wire``.

Glossary: the *gateway* is all clients of one process; a *session* is one client joined to one upstream connection,
``requests`` what the client sends and ``responses`` what the upstream answers, the *conversation* where both stand; a
*pipe* is one socket; the *relay* passes bytes on and looks at message headers; an *account* is what the audit log is
told of one run; the *gate* is admission, as a session sees it.

``listener.py`` is the way in: accept, ``login.py``, ``connect.py``, then ``session.py`` to the end. ``postgres.py`` is
something else: the gateway's own connections, for the catalog and EXPLAIN.
"""
