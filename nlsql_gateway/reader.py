"""The program that reads large texts: ``admission/elsewhere.py`` starts it, and it ends when its input does."""

from __future__ import annotations

import gc
import sys

from nlsql_gateway.admission.elsewhere import Parts, Read, receive, send
from nlsql_gateway.admission.reading import judged
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import Question, classify, template


def main() -> None:
    parts = Parts()
    gc.freeze()
    gc.disable()  # it would walk all that is being made again and again: half of the time
    while (job := receive(sys.stdin.buffer)) is not None:
        policy, catalog = parts.of(job)
        sample = None
        if job.with_sample:
            try:
                batch = classify(job.text)
                found = None if isinstance(batch, Question) else template.learn(batch, all_free=policy.pass_through)
            except GatewayError:
                found = None
            sample = None if found is None else judged(found.sample, job.principal, policy, catalog)
        answer = Read(judged(job.text, job.principal, policy, catalog), sample)
        send(sys.stdout.buffer, answer)
        gc.collect()


if __name__ == "__main__":
    main()
