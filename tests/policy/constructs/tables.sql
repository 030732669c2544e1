-- What the constructs stand on. eva sees of staff the rows of EU and not the column pay; secrets she does not see.
CREATE DOMAIN short AS text CHECK (length(VALUE) < 20);
CREATE TABLE staff (id integer PRIMARY KEY, name short, pay integer, region text, boss integer, at timestamptz);
INSERT INTO staff VALUES
    (1, 'Anna', 1001, 'EU', NULL, '2024-01-01 12:00Z'), (2, 'Bert', 2002, 'US', 1, '2024-02-01 12:00Z'),
    (3, 'Cleo', 3003, 'EU', 1, '2024-03-01 12:00Z'), (4, 'Dora', 4004, 'EU', 3, NULL);
CREATE TABLE secrets (id integer PRIMARY KEY, word text);
INSERT INTO secrets VALUES (1, 'hidden');
CREATE TABLE sales (id integer PRIMARY KEY, staff_id integer, total integer, region text);
INSERT INTO sales VALUES (1, 1, 10, 'EU'), (2, 2, 20, 'US'), (3, 3, 30, 'EU'), (4, 3, 40, 'EU');
CREATE TABLE "Mixed" (id integer, "Pay" integer, pay integer);
INSERT INTO "Mixed" VALUES (1, 2, 3);
CREATE TABLE docs (id integer, j jsonb, x text);
INSERT INTO docs VALUES (1, '{"a": [1, 2]}', '<r><v>1</v><v>2</v></r>');
CREATE TABLE parent (id integer, region text, pay integer);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO parent VALUES (1, 'EU', 1), (2, 'US', 2);
INSERT INTO child VALUES (3, 'EU', 3, 'x'), (4, 'US', 4, 'y');
CREATE TABLE parts (id integer, region text, pay integer) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('EU');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('US');
INSERT INTO parts VALUES (1, 'EU', 1), (2, 'US', 2);
CREATE VIEW owners_view AS SELECT id, name, region FROM staff;
CREATE VIEW invokers_view WITH (security_invoker) AS SELECT id, name, region FROM staff;
CREATE MATERIALIZED VIEW kept_view AS SELECT id, pay FROM staff;
CREATE VIEW granted_view AS SELECT id, region FROM sales;
CREATE SCHEMA other;
CREATE TABLE other.staff (id integer, name text);
INSERT INTO other.staff VALUES (9, 'Elsewhere');
CREATE FUNCTION other.plus(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE OPERATOR other.+ (FUNCTION = other.plus, LEFTARG = integer, RIGHTARG = integer);
CREATE FUNCTION name_of(staff) RETURNS text LANGUAGE sql STABLE AS 'SELECT ($1).name::text';
CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1';
CREATE TABLE "Ärzte" ("Änr" integer, name text, "Über" integer);
INSERT INTO "Ärzte" VALUES (1, 'Anna', 5);
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (id integer, region text, pay integer) SERVER files OPTIONS (program 'printf "1,EU,5\n2,US,6\n"', format 'csv');
ANALYZE staff;
