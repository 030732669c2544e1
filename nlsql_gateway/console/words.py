"""What the console says when something is not as it should be: what happened, why, and what to do.

The gateway's own words (SQLSTATE, message, detail, hint) stand below; these name no table, column or value.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    status: int
    "Of HTTP."
    title: str
    words: str
    todo: str

    def of(self, **values: object) -> Words:
        """With what stands in braces."""
        return Words(self.status, *(text.format(**values) for text in self[1:]))


FAULT: Final = Words(500, "The console has a fault", "It was logged.", "Try again, or tell its operator.")
NO_PAGE: Final = Words(404, "There is no such page", "The address leads nowhere.", "Go back to the start.")
NO_METHOD: Final = Words(405, "That is not how this page works", "Forms cannot be sent to it.", "Go back to the start.")
NO_DATABASE: Final = Words(
    404, "There is no such database", "It is not among those that you may pick from.", "Pick one under Databases."
)
NO_ANSWER: Final = Words(
    404, "There is no such answer", "It was another session's, or too old: answers go when you sign out.", "Ask again."
)
NO_ROWS: Final = Words(404, "There are no rows", "They were let go, or there are none yet.", "Run it again.")

ENDED: Final = Words(
    401, "Your session has ended", "Nothing was done: you are not signed in any more.", "Sign in again."
)
OLD_FORM: Final = Words(
    403,
    "The form is too old",
    "It was sent from another sign-in, or from another site.",
    "Load the page again and send it once more.",
)
NOT_FOR_YOU: Final = Words(
    403, "Not for you", "This page is for {who}s.", "The operator says who they are, in console.{who}s."
)
TOO_MANY: Final = Words(
    429, "Too many requests", "There were more than 120 forms in a minute.", "Wait {wait} seconds, then try again."
)
TOO_MANY_ATTEMPTS: Final = Words(
    429,
    "Too many attempts",
    "Signing in was tried too often, by you or by somebody else.",
    "Wait {wait} seconds. If it was not you, tell the operator.",
)
BUSY: Final = Words(429, "Too much at a time", "Several of your questions still run.", "Wait, or cancel one.")

NO_FORM: Final = Words(415, "That is not a form", "This address takes forms only.", "Use the page that it belongs to.")
UNREADABLE_FORM: Final = Words(400, "That is not a form", "What was sent cannot be read.", "Load the page again.")
LARGE_FORM: Final = Words(413, "That is too long", "A form may have {most} kB.", "Send less at a time.")
SLOW_FORM: Final = Words(408, "That took too long", "The form did not come to its end.", "Send it again.")
EMPTY: Final = Words(400, "The {what} is empty", "Nothing was asked.", "Write a {what}, then send it again.")
LONG: Final = Words(413, "The {what} is too long", "It may have {most:,} characters.", "Send less at a time.")
NO_TEXT: Final = Words(400, "That is not a text", "It has a character that no statement may have.", "Take it out.")
NO_JUDGEMENT: Final = Words(400, "Nothing was kept", "It was neither right nor wrong.", "Say one of both of an answer.")
NOT_KEPT: Final = Words(500, "It could not be kept", "The file for it cannot be written.", "Tell the operator.")
NOT_VERIFIABLE: Final = Words(
    404,
    "That cannot be verified",
    "Only a question that was answered can be, and only where ask.semantics names a file.",
    "Ask a question, or tell the operator.",
)

NO_PYTHON: Final = Words(
    404, "That is not offered here", "The operator has not switched Python on.", "Tell the operator: console.analysis."
)
PYTHON_BUSY: Final = Words(
    429, "Too much at a time", "Your Python, or that of several others, still runs.", "Wait a moment, then try again."
)

NOT_OVERSEEN: Final = Words(
    404, "That is not offered here", "The console was started without it.", "Tell the operator: console.officers."
)
NO_REPORT: Final = Words(
    404,
    "There is no report",
    "The configuration names no directory, or nothing was evaluated yet.",
    "Tell the operator: console.evaluation, and nlsql-gateway eval --out.",
)
NOT_LOOKED_AT: Final = Words(
    422, "That cannot be shown", "It fails: {problem}.", "Change what you asked for, or tell the operator."
)

SIGN_IN_EMPTY: Final = "Write your name and your password."
SIGN_IN_WRONG: Final = "The name or the password is wrong."

TITLES: Final = {
    "NL001": "It cannot be answered from what you may see",
    "NL002": "The model does not answer",
    "NL003": "No SQL was found that is valid and allowed",
    "NL004": "The answer is too doubtful",
    "57014": "It was cancelled, or took too long",
    "42501": "It is not allowed",
    "25006": "Everything here is read only",
    "58030": "It could not be recorded, so it was not run",
    "0A000": "That is not possible here",
    "08": "The gateway does not answer",
    "22": "A value does not fit",
    "28": "You are not let in any more",
    "42": "The statement is not right",
    "53": "The gateway or the database is full",
    "54": "It is too large",
    "57": "The database ends the connection",
}
"""Above an error of the gateway, by SQLSTATE or its class (PostgreSQL manual, appendix A)."""

TODO: Final = {
    "NL002": "SQL goes on working: write it below. Or try the question again in a moment.",
    "08": "Try again in a moment, or tell its operator.",
    "28": "Sign out and in again: your password or your rights may have changed.",
    "53": "Try again in a moment.",
}
"""What to do, beside the gateway's hint."""


def title(sqlstate: str) -> str:
    return TITLES.get(sqlstate) or TITLES.get(sqlstate[:2]) or "It failed"


def todo(sqlstate: str) -> str:
    """May be empty: then the hint says it, or the message."""
    return TODO.get(sqlstate) or TODO.get(sqlstate[:2]) or ""
