"""How the gateway is seen from outside: /metrics, /healthz and /readyz, on a port of their own.

The rooms count, each in values of its own that it names figures; this one alone knows Prometheus, and reads them when
it is asked. Nothing here is told of a statement, a person or a row, so nothing of them can get out.

watch      the pages of one process, wired
pages      the small HTTP server
readiness  whether clients should be sent here: each part that is needed, tried, and what is wrong with it
parts      these parts
measure    one metric: its name, its meaning, and how it is read; ``measures.py`` has them all
"""
