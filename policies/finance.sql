-- The tables that policies/finance.yaml speaks of: a bank with made-up customers. Load it into an empty database and
-- try the policy there; docs/policies.md explains both.
CREATE SCHEMA bank;

CREATE TABLE bank.branches (
    branch_id  integer PRIMARY KEY,
    name       text NOT NULL,
    country    text NOT NULL
);

CREATE TABLE bank.employees (
    employee_id  integer PRIMARY KEY,
    login        text NOT NULL UNIQUE,
    name         text NOT NULL,
    branch_id    integer NOT NULL REFERENCES bank.branches,
    job          text NOT NULL,
    salary       numeric(10, 2) NOT NULL
);

CREATE TABLE bank.customers (
    customer_id   integer PRIMARY KEY,
    name          text NOT NULL,
    birth_date    date NOT NULL,
    email         text,
    tax_number    text NOT NULL,
    branch_id     integer NOT NULL REFERENCES bank.branches,
    manager_id    integer NOT NULL REFERENCES bank.employees,
    rating        text NOT NULL,
    income        numeric(12, 2) NOT NULL,
    is_employee   boolean NOT NULL
);
COMMENT ON COLUMN bank.customers.rating IS 'A to E, by the scoring model';

CREATE TABLE bank.accounts (
    account_id   integer PRIMARY KEY,
    customer_id  integer NOT NULL REFERENCES bank.customers,
    iban         text NOT NULL UNIQUE,
    kind         text NOT NULL,
    currency     text NOT NULL,
    balance      numeric(14, 2) NOT NULL,
    opened_on    date NOT NULL
);

CREATE TABLE bank.cards (
    card_id      integer PRIMARY KEY,
    account_id   integer NOT NULL REFERENCES bank.accounts,
    card_number  text NOT NULL,
    expires_on   date NOT NULL,
    is_blocked   boolean NOT NULL
);

CREATE TABLE bank.transactions (
    transaction_id  bigint NOT NULL,
    account_id      integer NOT NULL REFERENCES bank.accounts,
    booked_on       date NOT NULL,
    amount          numeric(12, 2) NOT NULL,
    counterparty    text NOT NULL,
    counter_iban    text NOT NULL,
    purpose         text NOT NULL
) PARTITION BY RANGE (booked_on);
CREATE TABLE bank.transactions_2025 PARTITION OF bank.transactions FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE bank.transactions_2026 PARTITION OF bank.transactions FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

CREATE TABLE bank.loans (
    loan_id      integer PRIMARY KEY,
    customer_id  integer NOT NULL REFERENCES bank.customers,
    principal    numeric(12, 2) NOT NULL,
    rate         numeric(5, 3) NOT NULL,
    granted_on   date NOT NULL,
    days_late    integer NOT NULL
);

CREATE TABLE bank.alerts (
    alert_id     integer PRIMARY KEY,
    account_id   integer NOT NULL REFERENCES bank.accounts,
    raised_on    date NOT NULL,
    scenario     text NOT NULL,
    state        text NOT NULL
);
COMMENT ON TABLE bank.alerts IS 'Suspicions of money laundering. Whom they are about must not learn of them, by law';

CREATE TABLE bank.reports (
    report_id  integer PRIMARY KEY,
    alert_id   integer NOT NULL REFERENCES bank.alerts,
    sent_on    date NOT NULL,
    narrative  text NOT NULL
);
COMMENT ON TABLE bank.reports IS 'Reports to the authority';

CREATE TABLE bank.exchange_rates (
    currency  text NOT NULL,
    day       date NOT NULL,
    rate      numeric(12, 6) NOT NULL,
    PRIMARY KEY (currency, day)
);

INSERT INTO bank.branches VALUES (1, 'Harbour', 'DE'), (2, 'Market Square', 'DE'), (3, 'Lakeside', 'CH');

INSERT INTO bank.employees VALUES
    (1, 'tina', 'Tina Lang', 1, 'teller', 38000), (2, 'theo', 'Theo Marsh', 2, 'teller', 37500),
    (3, 'rosa', 'Rosa Nunn', 1, 'manager', 71000), (4, 'rolf', 'Rolf Orth', 3, 'manager', 73500),
    (5, 'fred', 'Fred Pike', 2, 'fraud', 64000), (6, 'cleo', 'Cleo Quist', 2, 'compliance', 82000);

INSERT INTO bank.customers
SELECT n, (ARRAY['Ada', 'Ben', 'Cora', 'Dev', 'Eva', 'Gus'])[1 + n % 6] || ' '
       || (ARRAY['Reed', 'Sato', 'Thorn', 'Ueda', 'Vance'])[1 + n % 5],
       date '1948-03-01' + n * 211, 'c' || n || '@mail.example', 'T' || to_char(5500000 + n * 91, 'FM0000000'), 1 + n % 3,
       3 + n % 2, (ARRAY['A', 'B', 'C', 'D', 'E'])[1 + n * 3 % 5], 18000 + n * 977 % 90000, n % 25 = 0
FROM generate_series(1, 80) AS n;

INSERT INTO bank.accounts
SELECT n, 1 + n % 80, 'DE' || to_char(10 + n % 80, 'FM00') || '5001000' || to_char(4400000000 + n * 7919, 'FM0000000000'),
       (ARRAY['current', 'savings'])[1 + n % 2], (ARRAY['EUR', 'EUR', 'CHF'])[1 + n % 3], n * 7331 % 60000 - 900,
       date '2012-01-01' + n * 31
FROM generate_series(1, 120) AS n;

INSERT INTO bank.cards
SELECT n, n, '51234' || to_char(10000000000 + n * 48271, 'FM00000000000'), date '2027-01-01' + n * 9, n % 15 = 0
FROM generate_series(1, 100) AS n;

INSERT INTO bank.transactions
SELECT n, 1 + n % 120, date '2025-07-01' + n % 360, n * 6151 % 4000 - 1800,
       (ARRAY['Grocer', 'Landlord', 'Employer', 'Pharmacy', 'Casino'])[1 + n % 5],
       'FR76' || to_char(3000600001 + n % 50 * 101, 'FM0000000000'), 'invoice ' || n
FROM generate_series(1, 2000) AS n;

INSERT INTO bank.loans
SELECT n, 1 + n * 3 % 80, 5000 + n * 4409 % 240000, 2 + n % 40 / 10.0, date '2020-01-01' + n * 17,
       CASE WHEN n % 9 = 0 THEN n % 120 ELSE 0 END
FROM generate_series(1, 60) AS n;

INSERT INTO bank.alerts
SELECT n, 1 + n * 11 % 120, date '2026-01-05' + n, (ARRAY['structuring', 'sanctioned country', 'mule'])[1 + n % 3],
       (ARRAY['open', 'closed'])[1 + n % 2]
FROM generate_series(1, 20) AS n;

INSERT INTO bank.reports SELECT n, n, date '2026-02-01' + n, 'what was seen, and why it is suspicious' FROM generate_series(1, 6) AS n;

INSERT INTO bank.exchange_rates SELECT 'CHF', date '2026-01-01' + n, 0.93 + n % 9 / 1000.0 FROM generate_series(0, 89) AS n;
