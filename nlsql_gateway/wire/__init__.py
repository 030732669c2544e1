"""The PostgreSQL protocol 3.0 to 3.2 without IO: bytes in, values out.

Glossary: *downstream* is towards the client, *upstream* towards PostgreSQL; a *message* is a type byte, a length and a
body; a *phase* is where the conversation with a client stands, and ``states.py`` has every transition of it; a *step*
is a message sent upstream whose reply is awaited, and ``replies.py`` has the queue of them.
"""
