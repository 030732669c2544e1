"""From questions with their SQL to an adapter of the embedded model: ``python -m nlsql_gateway.training``.

source      a directory of pairs, schemas and contents, laid out as docs/training.md says
pair        a question, the database it is asked of, and its SQL; none where the right answer is a refusal
gold        the SQL of a pair; *original* as the source has it, *restyled* as people want it
prepare     source -> databases.jsonl, pairs.jsonl: what may be learnt from, with each schema as the gateway reads it
synthesise  the same files, of schemas and questions that are made up
restyle     pairs.jsonl -> restyled.jsonl: several ways to write each gold, the best first
check       restyled.jsonl -> train.jsonl, validation.jsonl: what holds when it is run, with the gateway's own prompt

Each step writes into one directory, counts what it drops by reason in ``report.json``, and can be run again. The steps
named here need no torch.
"""
