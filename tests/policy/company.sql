-- The same relations as company.py, with rows that only some people may see. GATEWAY_ROLE is replaced by the test.
CREATE TABLE customers (id integer PRIMARY KEY, name text, email text, ssn text, salary integer, region text, tenant_id integer);
INSERT INTO customers VALUES
    (1, 'Anna',  'anna@example.com',  '111', 1000, 'EU', 1),
    (2, 'Bert',  'bert@example.com',  'HIDDEN-2', 2000, 'US', 2),
    (3, 'Cleo',  'cleo@example.com',  '333', 3000, 'EU', 3),
    (4, 'Dora',  NULL,                NULL,  4000, 'US', 1);
CREATE TABLE customers_child (extra text) INHERITS (customers);
INSERT INTO customers_child VALUES (5, 'Emma', 'emma@example.com', '555', 5000, 'US', 1, 'x');
CREATE TABLE hr_salaries (id integer PRIMARY KEY, employee text, amount integer);
INSERT INTO hr_salaries VALUES (1, 'Zoe', 99999);
CREATE TABLE orders (
    id integer PRIMARY KEY, customer_id integer REFERENCES customers, ssn text, total numeric(10,2), ordered_at date
);
INSERT INTO orders VALUES (1, 1, '111', 10, '2024-01-01'), (2, 2, 'HIDDEN-2', 20, '2024-02-01'), (3, 3, 'x', 30, '2024-02-02');
CREATE TABLE events (id integer, region text, what text) PARTITION BY LIST (region);
CREATE TABLE events_eu PARTITION OF events FOR VALUES IN ('EU');
CREATE TABLE events_us PARTITION OF events FOR VALUES IN ('US');
INSERT INTO events VALUES (1, 'EU', 'seen'), (2, 'US', 'hidden');
CREATE TABLE "Customers" (id integer, "Full Name" text);
INSERT INTO "Customers" VALUES (1, 'Anna A.');
CREATE TABLE staff (id integer PRIMARY KEY, name text, phone varchar(20), pay numeric(9,2), hired date);
INSERT INTO staff VALUES (1, 'Sam', '+1 555 0101', 5000, '2020-05-17'), (2, 'Tia', '12', 6000, '2021-12-31'), (3, 'Udo', NULL, 7000, NULL);
CREATE TABLE assignments (customer_id integer, person text);
INSERT INTO assignments VALUES (1, 'tim'), (2, 'tim'), (3, 'tim'), (1, 'eva');
CREATE VIEW v_customers AS SELECT id, ssn FROM customers;
CREATE MATERIALIZED VIEW mv_customers AS SELECT id, ssn FROM customers;
CREATE VIEW v_open AS SELECT 1 AS id;
CREATE SEQUENCE seq1;
CREATE SCHEMA s2;
CREATE TABLE s2.customers (id integer, secret text);
INSERT INTO s2.customers VALUES (1, 'secret');
CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM customers';
CREATE FUNCTION peek(integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM customers WHERE id = $1';
CREATE FUNCTION peek(orders) RETURNS text LANGUAGE sql STABLE AS 'SELECT ''peeked''::text';
CREATE FUNCTION mutate() RETURNS integer LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION shout(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(x)';
ANALYZE;
