-- A public. ana sees EU's customers, orders and items; of customers no ssn, and e-mail addresses masked.
CREATE TYPE mood AS ENUM ('low', 'fair', 'high');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 40);
CREATE TYPE place AS (street text, zip integer);
CREATE TABLE customers (
    id bigint PRIMARY KEY, name short NOT NULL, email text, ssn text, region text NOT NULL, mood mood, home place,
    tags text[], profile jsonb, raw json, active daterange, created timestamptz, words tsvector, parent bigint, code varchar(8),
    balance numeric(10,2), score double precision, token uuid, photo bytea, flags bit(4), addr inet
);
INSERT INTO customers
SELECT n, 'Name ' || n, 'name' || n || '@example.com', 'S' || n, CASE WHEN n % 3 = 0 THEN 'US' ELSE 'EU' END,
    (ARRAY['low', 'fair', 'high'])[n % 3 + 1]::mood, ROW('Street ' || n, n * 100)::place, ARRAY['t' || n % 2, 't' || n % 5],
    jsonb_build_object('n', n, 'items', jsonb_build_array(n, n + 1), 'sub', jsonb_build_object('k', 'v' || n)),
    json_build_object('a', n), daterange('2024-01-01', date '2024-01-01' + n::int), timestamptz '2024-01-31 22:30Z' + n * interval '10 days',
    to_tsvector('simple', 'word' || n || ' common'), NULLIF(n / 2, 0), 'C' || n, n * 10.5, n / 7.0,
    ('00000000-0000-0000-0000-0000000000' || to_char(n, 'FM00'))::uuid, decode(to_char(n, 'FM0000'), 'hex'), (n % 16)::int::bit(4),
    ('10.0.0.' || n)::inet
FROM generate_series(1, 12) n;
CREATE TABLE orders (
    id integer PRIMARY KEY, customer_id bigint REFERENCES customers, region text NOT NULL, ordered date NOT NULL,
    total numeric(12,2), state text DEFAULT 'open', rebate real, quick boolean, notes varchar(50)
);
INSERT INTO orders
SELECT n, n % 12 + 1, CASE WHEN (n % 12 + 1) % 3 = 0 THEN 'US' ELSE 'EU' END, date '2024-01-01' + n * 7, n * 3.25,
    CASE n % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' ELSE 'sent' END, NULLIF(n % 4, 0) / 10.0, n % 2 = 0, NULLIF('note ' || n % 6, 'note 0')
FROM generate_series(1, 40) n;
CREATE TABLE items (order_id integer REFERENCES orders, line integer, product integer, quantity smallint, price money, PRIMARY KEY (order_id, line));
INSERT INTO items SELECT n, l, (n + l) % 5 + 1, l::smallint, (n + l)::money FROM generate_series(1, 40) n, generate_series(1, 2) l;
CREATE TABLE products (id integer PRIMARY KEY, name text, kind text, weight numeric);
INSERT INTO products SELECT n, 'Product ' || n, CASE n % 2 WHEN 0 THEN 'hard' ELSE 'soft' END, n * 1.5 FROM generate_series(1, 5) n;
CREATE TABLE visits (id bigint, region text, at timestamp, span tsrange) PARTITION BY LIST (region);
CREATE TABLE visits_eu PARTITION OF visits FOR VALUES IN ('EU');
CREATE TABLE visits_us PARTITION OF visits FOR VALUES IN ('US');
INSERT INTO visits
SELECT n, CASE n % 2 WHEN 0 THEN 'US' ELSE 'EU' END, timestamp '2024-03-30 23:00' + n * interval '1 hour',
    tsrange(timestamp '2024-03-30' + n * interval '1 hour', timestamp '2024-03-31' + n * interval '1 hour') FROM generate_series(1, 12) n;
ANALYZE;
-- The same rules as PostgreSQL's own: row security, and a security-barrier view where values are masked.
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE visits ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON orders USING (region = 'EU');
CREATE POLICY p ON visits USING (region = 'EU');
CREATE POLICY p ON items USING (EXISTS (SELECT FROM public.orders o WHERE o.id = order_id AND o.region = 'EU'));
CREATE SCHEMA native;
CREATE VIEW native.customers WITH (security_barrier) AS
    SELECT id, name, '***' || right(email, 11) AS email, region, mood, home, tags, profile, raw, active, created, words, parent, code,
        balance, score, token, photo, flags, addr FROM public.customers WHERE region = 'EU';
