-- What must not be in the demonstration database: a comment names the fault, the query finds it.

-- an order outside the three years
SELECT FROM orders WHERE ordered_at NOT BETWEEN '2023-03-01' AND '2026-03-01';

-- an order in another region than its customer
SELECT FROM orders o JOIN customers c USING (customer_id) WHERE o.region_id <> c.region_id;

-- an order in another region than its store
SELECT FROM orders o JOIN stores s USING (store_id) WHERE o.region_id <> s.region_id;

-- a sale by somebody of another store
SELECT FROM orders o JOIN employees e USING (employee_id) WHERE o.store_id <> e.store_id;

-- a sale before the employee was hired
SELECT FROM orders JOIN employees USING (employee_id) WHERE ordered_at < hired_on;

-- an order before the customer signed up
SELECT FROM orders JOIN customers USING (customer_id) WHERE ordered_at < signed_up_on;

-- a sale before the product was launched
SELECT FROM orders JOIN order_items USING (order_id) JOIN products USING (product_id) WHERE ordered_at < launched_on;

-- a cancelled order with items
SELECT FROM orders JOIN order_items USING (order_id) WHERE status = 'cancelled';

-- any other order without items
SELECT FROM orders o
WHERE status <> 'cancelled' AND NOT EXISTS (SELECT FROM order_items i WHERE i.order_id = o.order_id);

-- more paid than owed
SELECT FROM (SELECT order_id, sum(amount) AS paid FROM payments GROUP BY order_id) p
JOIN (SELECT order_id, sum(revenue) AS owed FROM order_items GROUP BY order_id) i USING (order_id) WHERE paid > owed;

-- a parcel for an order made in a store
SELECT FROM shipments JOIN orders USING (order_id) WHERE channel = 'store';

-- a delivery that the order's status denies
SELECT FROM shipments JOIN orders USING (order_id) WHERE (status = 'delivered') <> (delivered_at IS NOT NULL);

-- a return of what was not ordered
SELECT FROM returns r LEFT JOIN order_items i USING (order_id, product_id)
WHERE i.quantity IS NULL OR r.quantity > i.quantity;

-- two customers of one name
SELECT FROM customers GROUP BY name HAVING count(*) > 1;

-- an employee managed from another region
SELECT FROM employees e JOIN employees m ON m.employee_id = e.manager_id
WHERE m.region_id <> e.region_id AND e.job_title <> 'regional manager';

-- a store without a manager
SELECT FROM stores s
WHERE NOT EXISTS (SELECT FROM employees e WHERE e.store_id = s.store_id AND job_title = 'store manager');

-- a table or column without a comment
SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
  AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL);

-- a foreign key without an index that starts with it
SELECT FROM pg_constraint k
WHERE k.contype = 'f'
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1]);
