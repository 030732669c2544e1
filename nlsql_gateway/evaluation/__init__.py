"""How well are questions answered? Asked through the gateway's port as a client asks, and scored strictly.

Glossary: a *question* is what is asked, with its *golds*, the queries that are right (none: the right answer is a
refusal); a *table* is the rows of one answer; a *result* is what became of one question, with the
*stage* that lost it; the *totals* are counted over results; a *run* is one evaluation, kept in a folder of its own.

questions.py    what is asked, read from a file      golds.py    a gold's text -> the queries that it stands for
tables.py       are two tables equal, strictly?      score.py    a reply and the golds' tables -> a result
differences.py  in what wrong rows differ            totals.py   the figures
asking.py       one question through the port        runner.py   all of them, several at a time
kept.py         results as they come, resumable      written.py  a run as JSON, and read again
compared.py     two runs side by side                report.py, report.html, charts.py  the page
starting.py     PostgreSQL, Triton and a gateway     command.py  the parts of a run, joined
"""
