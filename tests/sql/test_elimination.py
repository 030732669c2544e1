"""Needless joins: which go, which stay, and that what stays is still joined."""

from __future__ import annotations

import pytest

from nlsql_gateway.sql.elimination import without_needless_joins
from tests.ask.shop import catalog, table

SCHOOL = catalog(
    table("programs", "id integer, name text"),
    table("program_courses", "program_id integer, course_id integer", key=False),
    table("students", "id integer, name text, program_id integer, credits integer"),
    table("courses", "id integer, title text"),
)


def drop(sql: str, *meant: str) -> str:
    return without_needless_joins(sql, SCHOOL, lambda relation, *_: relation[1] in meant)


@pytest.mark.parametrize(
    ("sql", "less"),
    [
        (  # It only passes the key on, and multiplies the students by their program's courses.
            (
                "SELECT p.name, SUM(s.credits) FROM programs p JOIN program_courses c ON p.id = c.program_id "
                "JOIN students s ON c.program_id = s.program_id GROUP BY p.name"
            ),
            (
                "SELECT p.name, SUM(s.credits) FROM programs AS p JOIN students AS s ON s.program_id = p.id "
                "GROUP BY p.name"
            ),
        ),
        (  # A leaf. The first source may go too: its key stands in the second.
            "SELECT c.course_id FROM courses JOIN program_courses c ON courses.id = c.course_id",
            "SELECT c.course_id FROM program_courses AS c",
        ),
        (  # With three sources count(*) counts what is multiplied.
            (
                "SELECT p.name, COUNT(*) FROM programs p JOIN students s ON s.program_id = p.id "
                "JOIN program_courses c ON c.program_id = p.id GROUP BY p.name"
            ),
            "SELECT p.name, COUNT(*) FROM programs AS p JOIN students AS s ON s.program_id = p.id GROUP BY p.name",
        ),
        (  # What the two others have in common by way of it they have in common still.
            (
                "SELECT c.course_id, s.name FROM programs p JOIN program_courses c ON p.id = c.program_id "
                "JOIN students s ON p.id = s.program_id AND c.course_id = s.credits"
            ),
            (
                "SELECT c.course_id, s.name FROM program_courses AS c JOIN students AS s ON s.credits = c.course_id "
                "AND s.program_id = c.program_id"
            ),
        ),
    ],
)
def test_dropped(sql: str, less: str) -> None:
    assert drop(sql, "students") == less
    assert drop(less, "students") == less


@pytest.mark.parametrize(
    "sql",
    [
        # It is a condition that the question speaks of.
        "SELECT p.name FROM programs p JOIN students s ON s.program_id = p.id",
        # A bridge between two keys.
        (
            "SELECT c.title FROM programs p JOIN program_courses b ON b.program_id = p.id "
            "JOIN courses c ON c.id = b.course_id WHERE p.name = 'x'"
        ),
        # Its columns are used, or shown.
        "SELECT * FROM courses JOIN program_courses ON courses.id = program_courses.course_id",
        "SELECT c.* FROM courses AS c JOIN program_courses AS p ON c.id = p.course_id JOIN students ON TRUE = TRUE",
        "SELECT c.title, p.name FROM courses c JOIN programs p ON p.id = c.id",
        "SELECT title, name FROM courses JOIN programs ON programs.id = courses.id",
        # count(*) and count(key) count the partners.
        "SELECT p.name, COUNT(*) FROM programs p JOIN program_courses c ON c.program_id = p.id GROUP BY p.name",
        "SELECT p.name, COUNT(p.id) FROM programs p JOIN program_courses c ON c.program_id = p.id GROUP BY p.name",
        # What is taken away must have a partner.
        "SELECT name FROM programs EXCEPT SELECT p.name FROM programs p JOIN program_courses c ON c.program_id = p.id",
        (
            "SELECT name FROM programs WHERE NOT id IN "
            "(SELECT p.id FROM programs p JOIN program_courses c ON c.program_id = p.id)"
        ),
        # Outer joins and conditions that are no equality say more.
        "SELECT p.name FROM programs p LEFT JOIN program_courses c ON c.program_id = p.id",
        "SELECT p.name FROM programs p JOIN program_courses c ON c.program_id > p.id",
    ],
)
def test_kept(sql: str) -> None:
    assert drop(sql, "students") == sql
