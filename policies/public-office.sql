-- The tables that policies/public-office.yaml speaks of: a town hall with made-up residents. Load it into an empty
-- database and try the policy there; docs/policies.md explains both.
CREATE SCHEMA office;

CREATE TABLE office.districts (
    district_id  integer PRIMARY KEY,
    name         text NOT NULL
);

CREATE TABLE office.officers (
    officer_id   integer PRIMARY KEY,
    login        text NOT NULL UNIQUE,
    name         text NOT NULL,
    department   text NOT NULL,
    district_id  integer NOT NULL REFERENCES office.districts
);

CREATE TABLE office.residents (
    resident_id    integer PRIMARY KEY,
    name           text NOT NULL,
    birth_date     date NOT NULL,
    street         text NOT NULL,
    district_id    integer NOT NULL REFERENCES office.districts,
    national_id    text NOT NULL UNIQUE,
    religion       text,
    is_shielded    boolean NOT NULL
);
COMMENT ON COLUMN office.residents.is_shielded IS 'Nobody may be told where this person lives: threatened, or in witness protection';

CREATE TABLE office.applications (
    application_id  integer PRIMARY KEY,
    resident_id     integer NOT NULL REFERENCES office.residents,
    department      text NOT NULL,
    kind            text NOT NULL,
    filed_on        date NOT NULL,
    decided_on      date,
    outcome         text,
    officer_id      integer NOT NULL REFERENCES office.officers
);

CREATE TABLE office.case_notes (
    note_id         integer PRIMARY KEY,
    application_id  integer NOT NULL REFERENCES office.applications,
    officer_id      integer NOT NULL REFERENCES office.officers,
    body            text NOT NULL,
    written_on      date NOT NULL
);

CREATE TABLE office.benefits (
    benefit_id   integer PRIMARY KEY,
    resident_id  integer NOT NULL REFERENCES office.residents,
    kind         text NOT NULL,
    monthly      numeric(8, 2) NOT NULL,
    since        date NOT NULL,
    until        date
);

CREATE TABLE office.payments (
    payment_id  integer PRIMARY KEY,
    benefit_id  integer NOT NULL REFERENCES office.benefits,
    paid_on     date NOT NULL,
    amount      numeric(8, 2) NOT NULL,
    iban        text NOT NULL
);

CREATE TABLE office.businesses (
    business_id  integer PRIMARY KEY,
    name         text NOT NULL,
    trade        text NOT NULL,
    owner_id     integer NOT NULL REFERENCES office.residents,
    district_id  integer NOT NULL REFERENCES office.districts
);

CREATE TABLE office.inspections (
    inspection_id  integer PRIMARY KEY,
    business_id    integer NOT NULL REFERENCES office.businesses,
    officer_id     integer NOT NULL REFERENCES office.officers,
    inspected_on   date NOT NULL,
    grade          integer NOT NULL,
    informant      text
);
COMMENT ON COLUMN office.inspections.informant IS 'Who gave the hint that led to it';

CREATE TABLE office.tax_assessments (
    assessment_id  integer PRIMARY KEY,
    resident_id    integer NOT NULL REFERENCES office.residents,
    year           integer NOT NULL,
    taxable        numeric(12, 2) NOT NULL,
    due            numeric(12, 2) NOT NULL
);

CREATE VIEW office.grades AS
    SELECT b.name, b.trade, d.name AS district, i.inspected_on, i.grade
    FROM office.inspections i JOIN office.businesses b USING (business_id) JOIN office.districts d USING (district_id);
COMMENT ON VIEW office.grades IS 'What the town publishes of its inspections';

INSERT INTO office.districts VALUES (1, 'Old Town'), (2, 'Riverside'), (3, 'Hillcrest');

INSERT INTO office.officers VALUES
    (1, 'olga', 'Olga Weiss', 'registry', 1), (2, 'oskar', 'Oskar Yates', 'registry', 2),
    (3, 'sven', 'Sven Zander', 'social', 1), (4, 'sara', 'Sara Abel', 'social', 3),
    (5, 'ines', 'Ines Bauer', 'inspection', 2), (6, 'tom', 'Tom Cruz', 'treasury', 1);

INSERT INTO office.residents
SELECT n, (ARRAY['Lea', 'Max', 'Nina', 'Otto', 'Pia', 'Quin'])[1 + n % 6] || ' '
       || (ARRAY['Adler', 'Brandt', 'Conrad', 'Dietz', 'Engel'])[1 + n % 5],
       date '1940-06-01' + n * 263, (ARRAY['Mill Lane', 'High Street', 'Dock Road', 'Elm Way'])[1 + n % 4] || ' ' || n,
       1 + n % 3, 'N' || to_char(8800000 + n * 173, 'FM0000000'),
       (ARRAY['none', 'protestant', 'catholic', 'muslim', NULL])[1 + n % 5], n % 17 = 0
FROM generate_series(1, 90) AS n;

INSERT INTO office.applications
SELECT n, 1 + n * 7 % 90, CASE WHEN n % 2 = 0 THEN 'registry' ELSE 'social' END,
       CASE WHEN n % 2 = 0 THEN (ARRAY['passport', 'marriage', 'move'])[1 + n % 3] ELSE (ARRAY['housing', 'child'])[1 + n % 3 % 2] END,
       date '2026-01-02' + n % 80, CASE WHEN n % 3 <> 0 THEN date '2026-01-20' + n % 80 END,
       CASE WHEN n % 3 <> 0 THEN (ARRAY['granted', 'refused'])[1 + n % 2] END, CASE WHEN n % 2 = 0 THEN 1 + n / 2 % 2 ELSE 3 + n / 2 % 2 END
FROM generate_series(1, 160) AS n;

INSERT INTO office.case_notes
SELECT n, 1 + n % 160, (SELECT a.officer_id FROM office.applications a WHERE a.application_id = 1 + n % 160),
       'spoke with the applicant', date '2026-01-10' + n % 90
FROM generate_series(1, 200) AS n;

INSERT INTO office.benefits
SELECT n, 1 + n * 5 % 90, (ARRAY['housing', 'child', 'care'])[1 + n % 3], 120 + n * 37 % 600, date '2025-01-01' + n * 3,
       CASE WHEN n % 4 = 0 THEN date '2026-01-31' END
FROM generate_series(1, 70) AS n;

INSERT INTO office.payments
SELECT n, 1 + n % 70, date '2026-01-01' + n / 70 * 28, 120 + (1 + n % 70) * 37 % 600, 'DE21' || to_char(7000000000 + n % 70 * 53, 'FM0000000000')
FROM generate_series(1, 210) AS n;

INSERT INTO office.businesses
SELECT n, (ARRAY['Cafe', 'Bakery', 'Garage', 'Hotel'])[1 + n % 4] || ' ' || n, (ARRAY['food', 'food', 'repair', 'lodging'])[1 + n % 4],
       1 + n * 4 % 90, 1 + n % 3
FROM generate_series(1, 30) AS n;

INSERT INTO office.inspections
SELECT n, 1 + n % 30, 5, date '2025-09-01' + n * 3, 1 + n % 5, CASE WHEN n % 6 = 0 THEN 'a neighbour' END
FROM generate_series(1, 60) AS n;

INSERT INTO office.tax_assessments
SELECT n, 1 + n % 90, 2024 + n / 90, 9000 + n * 1301 % 90000, (9000 + n * 1301 % 90000) * 0.19 FROM generate_series(1, 180) AS n;
