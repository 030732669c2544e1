-- What policy.yaml says for `clerk`, as PostgreSQL's own row security. Policies hold inside each other: an order's
-- sub-query sees only the customers that may be seen.
CREATE POLICY regional ON customer USING (c_nationkey = ANY ('{2,3,7,8,18}'::integer[]));
CREATE POLICY regional ON supplier USING (s_nationkey = ANY ('{2,3,7,8,18}'::integer[]));
CREATE POLICY regional ON orders USING (o_custkey IN (SELECT own.c_custkey FROM customer AS own));
CREATE POLICY regional ON lineitem USING (l_orderkey IN (SELECT mine.o_orderkey FROM orders AS mine));
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE supplier ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE lineitem ENABLE ROW LEVEL SECURITY;
