"""Python over the rows of an answer, in a process that reaches nothing. See docs/console.md, Python."""

from nlsql_gateway.sandbox.process import Analysed, AnalysisFailed, Limits, analyse, missing

__all__ = ["Analysed", "AnalysisFailed", "Limits", "analyse", "missing"]
