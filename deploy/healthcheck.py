#!/usr/bin/env python3
"""Does something that speaks PostgreSQL answer at HOST PORT? Exit 0 if so; 1 with a line saying what is wrong if not.

It sends an SSLRequest and expects ``S`` or ``N`` (PostgreSQL manual, "Message Flow", SSL Session Encryption): a
listening socket is not enough, since the kernel accepts for a process that hangs. It does not log in, so it needs no
password and leaves no audit record. Whether upstream, policy and model are right is what ``nlsql-gateway check`` says.
"""

import socket
import struct
import sys

TIMEOUT_S = 2.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def main() -> int:
    host, port = sys.argv[1], int(sys.argv[2])
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(SSL_REQUEST)
            answer = connection.recv(1)
    except OSError as error:
        print(f"{host}:{port}: {error}")  # noqa: T201 - what `docker inspect` shows
        return 1
    if answer not in (b"S", b"N"):
        print(f"{host}:{port}: answered {answer!r} to an SSLRequest")  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
