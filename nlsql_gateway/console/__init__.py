"""The console: pages in a browser for whoever asks, reviews and watches. One more client of the gateway's port.

site      what all pages share: settings, sessions, templates, limits, tasks
page      one path with its handler and who may open it; ``action`` is one that is posted to, behind a CSRF token
call      one request on its way to a handler, with the session and the form that came with it
session   somebody who signed in, with the name and the password that open connections at the gateway's port
line      one connection to the gateway, of one tab of one session
run       a question or statement on its way, then its answer
backstage what reviewers and officers may do beyond the port, handed in by the composition root

Whatever a person sees of the database comes through the port, so each statement is checked and recorded as from any
client. Nothing here speaks with the database or decides what may be seen.
"""

from nlsql_gateway.console.app import build
from nlsql_gateway.console.backstage import Backstage
from nlsql_gateway.console.port import Port
from nlsql_gateway.console.web import server

__all__ = ["Backstage", "Port", "build", "server"]
