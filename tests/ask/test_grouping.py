"""What stands behind *per* in a question, and when it is grouped by."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.grouping import grouped_as_asked
from tests.ask.shop import catalog, table

CITY = catalog(
    table("branches", "branch_id integer, name text, opening_year integer"),
    table(
        "loans", "loan_id integer, branch_id integer, country_name text, days integer", "branch_id branches(branch_id)"
    ),
)


@pytest.mark.parametrize(
    ("question", "sql", "grouped"),
    [
        (
            "How many loans per branch?",
            "SELECT COUNT(*) FROM loans",
            "SELECT loans.branch_id, COUNT(*) FROM loans GROUP BY loans.branch_id",
        ),
        (
            "Mean length of a loan by country in 2024",
            "SELECT AVG(days) AS mean, MAX(days) + 1 FROM loans AS l",
            "SELECT l.country_name, AVG(days) AS mean, MAX(days) + 1 FROM loans AS l GROUP BY l.country_name",
        ),
        (
            "Branches for each opening year",
            "SELECT COUNT(*) FROM branches",
            "SELECT branches.opening_year, COUNT(*) FROM branches GROUP BY branches.opening_year",
        ),
        ("How many loans?", "SELECT COUNT(*) FROM loans", None),
        ("How many loans are enrolled in by branch?", "SELECT COUNT(*) FROM loans", None),
        ("How many loans were approved by branch managers?", "SELECT COUNT(*) FROM loans", None),
        ("How many loans per patron?", "SELECT COUNT(*) FROM loans", None),
        ("Loans per branch?", "SELECT COUNT(*) / COUNT(DISTINCT branch_id) FROM loans", None),
        ("Loans per branch?", "SELECT branch_id, COUNT(*) FROM loans", None),
        ("Loans per branch?", "SELECT COUNT(*) FROM loans GROUP BY branch_id", None),
        ("Loans per branch?", "SELECT COUNT(*) FROM loans HAVING COUNT(*) > 3", None),
        ("Mean per branch?", "SELECT AVG(n) FROM (SELECT COUNT(*) AS n FROM loans GROUP BY branch_id) AS x", None),
        ("Loans per branch?", "WITH x AS (SELECT 1) SELECT COUNT(*) FROM loans", None),
        ("Each branch?", "SELECT branch_id FROM loans", None),
    ],
)
def test_grouped_as_asked(question: str, sql: str, grouped: str | None) -> None:
    assert grouped_as_asked(sql, question, CITY) == (grouped or sql)
