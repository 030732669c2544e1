"""From a question in words to SQL that passed the check. It stays untrusted text: admission decides on it.

Asker       one model and how to ask it; ``asker.py`` shows the way of a question
Generator   the seam to a model: a prompt in, a completion out
Pool        several servers of one model as one Generator; its Figures count what was asked of each
check       parse, policy and EXPLAIN of one candidate, handed in by admission
candidate   SQL that may be the answer
Problem     why a candidate cannot run, in words fit for the model and for the person
mend        put names right by code, before the model is asked again
repair      another turn of the model, with the error
cache       answers given before, by all that they depend on
semantics   what the operator says that words mean; ``hints`` are what of it concerns a question
dialogue    what a session brings to its questions: the topic, and who is told the stages
topic       what a session's next question may go on from
verified    questions whose SQL a person has looked at; they are answered from it
schema      a Catalog that holds only what this person may see
look        a small SELECT of ours as this person: are an answer's texts stored, what does it return
vocabulary  the values of this person's columns, and which of them a question names
suggestion  Python over the rows of an answer, for a person to look at
sample      a further answer of the model to the same prompt; the one that most agree with is given
"""

from nlsql_gateway.ask.asker import Asker
from nlsql_gateway.ask.cache import AnswerCache, Key, normal
from nlsql_gateway.ask.dialogue import Dialogue, Stage, Tell, nobody
from nlsql_gateway.ask.followups import FORGET, Topic
from nlsql_gateway.ask.generator import Completion, Generator, Sampling
from nlsql_gateway.ask.grounding import Look, Rows
from nlsql_gateway.ask.python import Suggestion
from nlsql_gateway.ask.python import read as read_wanted
from nlsql_gateway.ask.semantics import Meanings, Semantics
from nlsql_gateway.ask.semantics_hints import relevant, with_joins
from nlsql_gateway.ask.semantics_loading import load as load_semantics
from nlsql_gateway.ask.values import VERIFIED, Answer, Check, Problem
from nlsql_gateway.ask.vocabulary import Place, Vocabulary
from nlsql_gateway.ask.vocabulary_reading import MAX_ROWS, Source, Statistic
from nlsql_gateway.ask.vocabulary_reading import read as read_vocabulary

__all__ = [
    "FORGET",
    "MAX_ROWS",
    "VERIFIED",
    "Answer",
    "AnswerCache",
    "Asker",
    "Check",
    "Completion",
    "Dialogue",
    "Generator",
    "Key",
    "Look",
    "Meanings",
    "Place",
    "Problem",
    "Rows",
    "Sampling",
    "Semantics",
    "Source",
    "Stage",
    "Statistic",
    "Suggestion",
    "Tell",
    "Topic",
    "Vocabulary",
    "load_semantics",
    "nobody",
    "normal",
    "read_vocabulary",
    "read_wanted",
    "relevant",
    "with_joins",
]
