-- The demonstration database: a retail company with stores in five regions, everything in US dollars.
--
-- Written to be read by people and by a small model: a key has one name wherever it occurs (customers.customer_id,
-- orders.customer_id), every table and column has a comment that says its unit, its allowed values and what to sum.
-- One way to each figure: revenue is sum(order_items.revenue), and a cancelled order has no items.
-- An order, its customer, its store and its employee are always in the same region, and each of them carries region_id,
-- so that a row filter by region is one comparison. retail.py makes the rows.

CREATE TABLE regions (
    region_id   integer PRIMARY KEY,
    name        text    NOT NULL UNIQUE
);
COMMENT ON TABLE  regions IS 'Sales regions of the company: North, South, East, West, Central';
COMMENT ON COLUMN regions.region_id IS 'Key of the region';
COMMENT ON COLUMN regions.name IS 'Name of the region: North, South, East, West or Central';

CREATE TABLE stores (
    store_id    integer PRIMARY KEY,
    name        text    NOT NULL UNIQUE,
    region_id   integer NOT NULL REFERENCES regions,
    city        text    NOT NULL,
    opened_on   date    NOT NULL,
    floor_area  integer NOT NULL CHECK (floor_area > 0)
);
COMMENT ON TABLE  stores IS 'Shops of the company; online orders are also served by a store';
COMMENT ON COLUMN stores.store_id IS 'Key of the store';
COMMENT ON COLUMN stores.name IS 'Name of the store, for example Boston Harbor';
COMMENT ON COLUMN stores.region_id IS 'Region that the store is in';
COMMENT ON COLUMN stores.city IS 'City that the store is in';
COMMENT ON COLUMN stores.opened_on IS 'Day on which the store opened';
COMMENT ON COLUMN stores.floor_area IS 'Sales floor in square metres';

CREATE TABLE employees (
    employee_id integer PRIMARY KEY,
    name        text    NOT NULL,
    email       text    NOT NULL UNIQUE,
    job_title   text    NOT NULL CHECK (job_title IN ('managing director', 'regional manager', 'store manager',
                                                      'sales associate', 'stock clerk')),
    region_id   integer NOT NULL REFERENCES regions,
    store_id    integer REFERENCES stores,
    manager_id  integer REFERENCES employees,
    salary      numeric(9,2) NOT NULL CHECK (salary > 0),
    hired_on    date    NOT NULL
);
COMMENT ON TABLE  employees IS 'People who work for the company now';
COMMENT ON COLUMN employees.employee_id IS 'Key of the employee';
COMMENT ON COLUMN employees.name IS 'First and last name';
COMMENT ON COLUMN employees.email IS 'E-mail address at work';
COMMENT ON COLUMN employees.job_title IS 'managing director, regional manager, store manager, sales associate or stock clerk';
COMMENT ON COLUMN employees.region_id IS 'Region that the employee works in';
COMMENT ON COLUMN employees.store_id IS 'Store that the employee works in; null for the managing director and regional managers';
COMMENT ON COLUMN employees.manager_id IS 'employee_id of the manager; null for the managing director';
COMMENT ON COLUMN employees.salary IS 'Salary before tax in US dollars a year';
COMMENT ON COLUMN employees.hired_on IS 'First day at work';

CREATE TABLE customers (
    customer_id integer PRIMARY KEY,
    name        text    NOT NULL,
    email       text    NOT NULL UNIQUE,
    phone       text    NOT NULL,
    region_id   integer NOT NULL REFERENCES regions,
    city        text    NOT NULL,
    segment     text    NOT NULL CHECK (segment IN ('consumer', 'small business', 'corporate')),
    signed_up_on date   NOT NULL
);
COMMENT ON TABLE  customers IS 'People and companies who have signed up to buy';
COMMENT ON COLUMN customers.customer_id IS 'Key of the customer';
COMMENT ON COLUMN customers.name IS 'First and last name';
COMMENT ON COLUMN customers.email IS 'E-mail address, personal data';
COMMENT ON COLUMN customers.phone IS 'Telephone number, personal data';
COMMENT ON COLUMN customers.region_id IS 'Region that the customer lives in';
COMMENT ON COLUMN customers.city IS 'City that the customer lives in';
COMMENT ON COLUMN customers.segment IS 'consumer, small business or corporate';
COMMENT ON COLUMN customers.signed_up_on IS 'Day on which the customer signed up; the first order is not earlier';

CREATE TABLE suppliers (
    supplier_id integer PRIMARY KEY,
    name        text    NOT NULL UNIQUE,
    country     text    NOT NULL,
    contact_email text  NOT NULL,
    lead_time_days integer NOT NULL CHECK (lead_time_days > 0)
);
COMMENT ON TABLE  suppliers IS 'Companies that products are bought from';
COMMENT ON COLUMN suppliers.supplier_id IS 'Key of the supplier';
COMMENT ON COLUMN suppliers.name IS 'Name of the company';
COMMENT ON COLUMN suppliers.country IS 'Country of the company, in English';
COMMENT ON COLUMN suppliers.contact_email IS 'E-mail address for purchase orders';
COMMENT ON COLUMN suppliers.lead_time_days IS 'Usual days from purchase order to delivery';

CREATE TABLE categories (
    category_id integer PRIMARY KEY,
    name        text    NOT NULL UNIQUE
);
COMMENT ON TABLE  categories IS 'Product categories, for example Kitchen or Garden';
COMMENT ON COLUMN categories.category_id IS 'Key of the category';
COMMENT ON COLUMN categories.name IS 'Name of the category';

CREATE TABLE products (
    product_id  integer PRIMARY KEY,
    name        text    NOT NULL UNIQUE,
    category_id integer NOT NULL REFERENCES categories,
    supplier_id integer NOT NULL REFERENCES suppliers,
    list_price  numeric(9,2) NOT NULL CHECK (list_price > 0),
    unit_cost   numeric(9,2) NOT NULL CHECK (unit_cost > 0),
    launched_on date    NOT NULL,
    discontinued boolean NOT NULL
);
COMMENT ON TABLE  products IS 'Articles that the company sells or has sold';
COMMENT ON COLUMN products.product_id IS 'Key of the product';
COMMENT ON COLUMN products.name IS 'Name of the product';
COMMENT ON COLUMN products.category_id IS 'Category of the product';
COMMENT ON COLUMN products.supplier_id IS 'Supplier that the product is bought from';
COMMENT ON COLUMN products.list_price IS 'Price today for one piece in US dollars; what was really paid is in order_items';
COMMENT ON COLUMN products.unit_cost IS 'What one piece costs the company, in US dollars';
COMMENT ON COLUMN products.launched_on IS 'Day from which it was sold';
COMMENT ON COLUMN products.discontinued IS 'true: no longer sold';

CREATE TABLE orders (
    order_id    integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    store_id    integer NOT NULL REFERENCES stores,
    region_id   integer NOT NULL REFERENCES regions,
    employee_id integer REFERENCES employees,
    ordered_at  timestamp(0) NOT NULL,
    channel     text    NOT NULL CHECK (channel IN ('store', 'online')),
    status      text    NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled')),
    CHECK ((employee_id IS NULL) = (channel = 'online'))
);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (store_id);
CREATE INDEX ON orders (region_id);
CREATE INDEX ON orders (employee_id);
CREATE INDEX ON orders (ordered_at);
COMMENT ON TABLE  orders IS 'Orders of customers in the last three years; what was ordered and its revenue is in order_items';
COMMENT ON COLUMN orders.order_id IS 'Key of the order';
COMMENT ON COLUMN orders.customer_id IS 'Customer who ordered';
COMMENT ON COLUMN orders.store_id IS 'Store that sold or served the order';
COMMENT ON COLUMN orders.region_id IS 'Region of the store and of the customer';
COMMENT ON COLUMN orders.employee_id IS 'Employee who made the sale; null for online orders';
COMMENT ON COLUMN orders.ordered_at IS 'Date and time of the order, UTC';
COMMENT ON COLUMN orders.channel IS 'store or online';
COMMENT ON COLUMN orders.status IS 'pending, shipped, delivered or cancelled; a cancelled order has no order_items';

CREATE TABLE order_items (
    order_id    integer NOT NULL REFERENCES orders,
    line_number integer NOT NULL CHECK (line_number > 0),
    product_id  integer NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity > 0),
    unit_price  numeric(9,2) NOT NULL CHECK (unit_price > 0),
    discount    numeric(3,2) NOT NULL CHECK (discount >= 0 AND discount < 1),
    revenue     numeric(11,2) NOT NULL GENERATED ALWAYS AS (round(quantity * unit_price * (1 - discount), 2)) STORED,
    PRIMARY KEY (order_id, line_number)
);
CREATE INDEX ON order_items (product_id);
COMMENT ON TABLE  order_items IS 'Products sold, one row for each product of an order; sum(revenue) is the revenue, also called sales';
COMMENT ON COLUMN order_items.order_id IS 'Order that the item belongs to';
COMMENT ON COLUMN order_items.line_number IS 'Position in the order, from 1';
COMMENT ON COLUMN order_items.product_id IS 'Product sold';
COMMENT ON COLUMN order_items.quantity IS 'Pieces sold';
COMMENT ON COLUMN order_items.unit_price IS 'Price of one piece in US dollars on the day of the order, before the discount';
COMMENT ON COLUMN order_items.discount IS 'Discount as a fraction: 0.10 is ten percent';
COMMENT ON COLUMN order_items.revenue IS 'Revenue of this item in US dollars after the discount; sum it for any revenue or sales figure';

CREATE TABLE payments (
    payment_id  integer PRIMARY KEY,
    order_id    integer NOT NULL REFERENCES orders,
    method      text    NOT NULL CHECK (method IN ('card', 'cash', 'bank transfer', 'gift card')),
    amount      numeric(11,2) NOT NULL CHECK (amount > 0),
    paid_at     timestamp(0) NOT NULL
);
CREATE INDEX ON payments (order_id);
COMMENT ON TABLE  payments IS 'Payments received for orders; an order can be paid in two parts';
COMMENT ON COLUMN payments.payment_id IS 'Key of the payment';
COMMENT ON COLUMN payments.order_id IS 'Order that was paid';
COMMENT ON COLUMN payments.method IS 'card, cash, bank transfer or gift card';
COMMENT ON COLUMN payments.amount IS 'Money received in US dollars';
COMMENT ON COLUMN payments.paid_at IS 'Date and time of the payment, UTC';

CREATE TABLE shipments (
    shipment_id integer PRIMARY KEY,
    order_id    integer NOT NULL UNIQUE REFERENCES orders,
    carrier     text    NOT NULL CHECK (carrier IN ('Swift Parcel', 'Blue Line', 'Metro Courier')),
    shipping_cost numeric(7,2) NOT NULL CHECK (shipping_cost >= 0),
    shipped_at  timestamp(0) NOT NULL,
    delivered_at timestamp(0) CHECK (delivered_at > shipped_at)
);
COMMENT ON TABLE  shipments IS 'Parcels of online orders';
COMMENT ON COLUMN shipments.shipment_id IS 'Key of the shipment';
COMMENT ON COLUMN shipments.order_id IS 'Order in the parcel';
COMMENT ON COLUMN shipments.carrier IS 'Swift Parcel, Blue Line or Metro Courier';
COMMENT ON COLUMN shipments.shipping_cost IS 'What the carrier charged the company, in US dollars';
COMMENT ON COLUMN shipments.shipped_at IS 'Date and time of dispatch, UTC';
COMMENT ON COLUMN shipments.delivered_at IS 'Date and time of delivery, UTC; null while under way';

CREATE TABLE returns (
    return_id   integer PRIMARY KEY,
    order_id    integer NOT NULL REFERENCES orders,
    product_id  integer NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity > 0),
    refund      numeric(11,2) NOT NULL CHECK (refund > 0),
    reason      text    NOT NULL CHECK (reason IN ('damaged', 'wrong item', 'not as described', 'no longer wanted',
                                                   'arrived late')),
    returned_on date    NOT NULL
);
CREATE INDEX ON returns (order_id);
CREATE INDEX ON returns (product_id);
COMMENT ON TABLE  returns IS 'Products that customers sent back; revenue is not reduced by them';
COMMENT ON COLUMN returns.return_id IS 'Key of the return';
COMMENT ON COLUMN returns.order_id IS 'Order that the product was part of';
COMMENT ON COLUMN returns.product_id IS 'Product returned';
COMMENT ON COLUMN returns.quantity IS 'Pieces returned';
COMMENT ON COLUMN returns.refund IS 'Money given back in US dollars';
COMMENT ON COLUMN returns.reason IS 'damaged, wrong item, not as described, no longer wanted or arrived late';
COMMENT ON COLUMN returns.returned_on IS 'Day of the return';

CREATE TABLE product_reviews (
    review_id   integer PRIMARY KEY,
    product_id  integer NOT NULL REFERENCES products,
    customer_id integer NOT NULL REFERENCES customers,
    rating      integer NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title       text    NOT NULL,
    reviewed_on date    NOT NULL,
    UNIQUE (product_id, customer_id)
);
CREATE INDEX ON product_reviews (customer_id);
COMMENT ON TABLE  product_reviews IS 'Ratings that customers gave to products they bought';
COMMENT ON COLUMN product_reviews.review_id IS 'Key of the review';
COMMENT ON COLUMN product_reviews.product_id IS 'Product reviewed';
COMMENT ON COLUMN product_reviews.customer_id IS 'Customer who wrote the review';
COMMENT ON COLUMN product_reviews.rating IS 'Stars from 1 (bad) to 5 (very good)';
COMMENT ON COLUMN product_reviews.title IS 'Headline of the review';
COMMENT ON COLUMN product_reviews.reviewed_on IS 'Day of the review';

CREATE TABLE inventory (
    store_id    integer NOT NULL REFERENCES stores,
    product_id  integer NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity >= 0),
    reorder_level integer NOT NULL CHECK (reorder_level >= 0),
    counted_on  date    NOT NULL,
    PRIMARY KEY (store_id, product_id)
);
CREATE INDEX ON inventory (product_id);
COMMENT ON TABLE  inventory IS 'Pieces of each product in stock in each store';
COMMENT ON COLUMN inventory.store_id IS 'Store';
COMMENT ON COLUMN inventory.product_id IS 'Product';
COMMENT ON COLUMN inventory.quantity IS 'Pieces in stock; 0 is out of stock';
COMMENT ON COLUMN inventory.reorder_level IS 'Order more when quantity is below this number of pieces';
COMMENT ON COLUMN inventory.counted_on IS 'Day of the last count';

CREATE INDEX ON stores (region_id);
CREATE INDEX ON employees (region_id);
CREATE INDEX ON employees (store_id);
CREATE INDEX ON employees (manager_id);
CREATE INDEX ON customers (region_id);
CREATE INDEX ON products (category_id);
CREATE INDEX ON products (supplier_id);
