"""From questions with their SQL to an adapter of the embedded model: ``python -m nlsql_gateway.training``.

source      a directory of pairs, schemas and contents, laid out as docs/training.md says
pair        a question, the database it is asked of, and its SQL; none where the right answer is a refusal
gold        the SQL of a pair; *original* as the source has it, *restyled* as people want it
prepare     source -> databases.jsonl, pairs.jsonl: what may be learnt from, with each schema as the gateway reads it
synthesise  the same files, of schemas and questions that are made up
restyle     pairs.jsonl -> restyled.jsonl: several ways to write each gold, the best first
check       restyled.jsonl -> train.jsonl, validation.jsonl: what holds when it is run, with the gateway's own prompt
fit         train.jsonl -> a *run*: settings, log, checkpoints and the adapter, a LoRA in PEFT's files
sample      train.jsonl -> sampled.jsonl: the model's own answers whose rows are the golds'
export      adapter -> the GGUF that llama.cpp loads
rehearse    does what is served say what was trained?
card        the adapter's model card, of nothing but what stands in the run and in evaluations
pieces      a file cut into pieces that may travel, and joined

The steps up to check write into one directory, count what they drop by reason in ``report.json``, and can be run
again. Only fit and rehearse need torch; with export they need the extra ``training``.
"""
