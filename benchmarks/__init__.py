"""What the gateway costs, as ratios to what stands beside it, measured in one run.

Words:

- *column*: one way from the client to the same PostgreSQL: ``direct``, ``pgbouncer`` (session mode), ``pgpool``
  (raw mode) or ``gateway``.
- *round*: every column once, one after the other; the order turns from round to round, so that a slow minute of the
  machine does not fall on the same column each time. What is reported is the median over the rounds.

Rooms: ``columns`` starts and stops the servers; ``pgbench``, ``streams``, ``memory`` and ``decisions`` measure one
thing each and return numbers; ``report`` is the shape of ``results/latest.json`` and the table; ``__main__`` is the
order.
"""
