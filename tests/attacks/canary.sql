-- Beside tests/policy/company.sql: values that must never reach a client, and what a write would change.
-- K4N4RY stands in each secret text, 4827193 in each secret number.
CREATE TABLE canary (id integer PRIMARY KEY, secret text, amount integer);
INSERT INTO canary SELECT n, 'K4N4RYDENIED' || n, 4827193 FROM generate_series(1, 3191) n;
CREATE TABLE twin (id integer PRIMARY KEY, seen text);
INSERT INTO twin VALUES (1, 'untouched'), (2, 'untouched');
CREATE SEQUENCE twin_seq;
CREATE VIEW v_canary AS SELECT * FROM canary;
CREATE MATERIALIZED VIEW mv_canary AS SELECT * FROM canary LIMIT 5;
CREATE FUNCTION canary_of(integer) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT secret FROM canary WHERE id = $1';
CREATE FUNCTION touch() RETURNS integer LANGUAGE sql VOLATILE AS 'INSERT INTO twin VALUES (77, ''touched'') RETURNING id';
-- Masked in a row that eva sees; a row that the filter hides; a column that is not granted.
INSERT INTO customers VALUES (101, 'Mara', 'mara@example.com', 'K4N4RYMASKED', 1100, 'EU', 1);
INSERT INTO customers VALUES (102, 'K4N4RYROW', 'k4n4ryrow@example.com', 'K4N4RYROWSSN', 4827193, 'US', 1);
INSERT INTO customers SELECT n, 'K4N4RYROW', 'k4n4ry' || n, 'K4N4RYSSN' || n, 4827193, 'US', 3
    FROM generate_series(200, 239) n;
INSERT INTO customers_child VALUES (103, 'K4N4RYCHILD', 'k4n4ry', 'K4N4RYCHILDSSN', 4827193, 'US', 1, 'K4N4RYEXTRA');
INSERT INTO events VALUES (3, 'US', 'K4N4RYEVENT');
INSERT INTO staff VALUES (9, 'Ida', 'K4N4RYPHONE 77', 4827193, '2019-03-03');
INSERT INTO hr_salaries VALUES (2, 'K4N4RYHR', 4827193);
REFRESH MATERIALIZED VIEW mv_customers;
ANALYZE;
