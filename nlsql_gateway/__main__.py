"""``python -m nlsql_gateway``: the same as the command nlsql-gateway."""

from nlsql_gateway.cli import main

main(prog_name="nlsql-gateway")
