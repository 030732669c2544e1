-- A public library system with eight branches: keys declared, snake_case names, comments. Its data end in June 2025.
-- Every "random" choice is a digest of the row's number, so that each load gives the same rows.

CREATE FUNCTION pg_temp.pick(seed text, many integer) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN ('x' || substr(md5(seed), 1, 7))::bit(28)::integer % many;

CREATE TABLE branches (
    branch_id integer PRIMARY KEY, name text NOT NULL UNIQUE, district text NOT NULL, opened_on date NOT NULL,
    floor_area numeric(7,1) NOT NULL, has_parking boolean NOT NULL, phone text NOT NULL
);
COMMENT ON TABLE branches IS 'Library buildings that are open to the public';
COMMENT ON COLUMN branches.floor_area IS 'Public floor area in square metres';
CREATE TABLE opening_hours (
    branch_id integer NOT NULL REFERENCES branches, weekday integer NOT NULL, opens time NOT NULL, closes time NOT NULL,
    PRIMARY KEY (branch_id, weekday)
);
COMMENT ON COLUMN opening_hours.weekday IS '1 is Monday, 7 is Sunday; a day without a row is closed';
CREATE TABLE staff (
    staff_id integer PRIMARY KEY, full_name text NOT NULL, branch_id integer NOT NULL REFERENCES branches,
    role text NOT NULL, hired_on date NOT NULL, weekly_hours numeric(4,1) NOT NULL, hourly_wage numeric(6,2) NOT NULL,
    supervisor_id integer REFERENCES staff
);
COMMENT ON COLUMN staff.role IS 'branch manager, librarian, assistant or page';
CREATE TABLE patrons (
    patron_id integer PRIMARY KEY, full_name text NOT NULL, birth_date date NOT NULL, membership_type text NOT NULL,
    home_branch_id integer NOT NULL REFERENCES branches, joined_on date NOT NULL, postcode text NOT NULL, email text
);
COMMENT ON TABLE patrons IS 'People with a library card';
COMMENT ON COLUMN patrons.membership_type IS 'adult, child, student or senior';
COMMENT ON COLUMN patrons.email IS 'Null where the patron gave none';
CREATE TABLE authors (
    author_id integer PRIMARY KEY, full_name text NOT NULL UNIQUE, country text NOT NULL, born_year integer
);
CREATE TABLE publishers (publisher_id integer PRIMARY KEY, name text NOT NULL UNIQUE, country text NOT NULL);
CREATE TABLE titles (
    title_id integer PRIMARY KEY, title text NOT NULL UNIQUE, publisher_id integer NOT NULL REFERENCES publishers,
    published_year integer NOT NULL, language text NOT NULL, format text NOT NULL, subject text NOT NULL,
    pages integer, list_price numeric(6,2) NOT NULL
);
COMMENT ON TABLE titles IS 'Works in the catalogue; what stands on the shelves is in copies';
COMMENT ON COLUMN titles.format IS 'hardcover, paperback, audiobook or large print';
COMMENT ON COLUMN titles.pages IS 'Null for audiobooks';
CREATE TABLE title_authors (
    title_id integer NOT NULL REFERENCES titles, author_id integer NOT NULL REFERENCES authors,
    contribution text NOT NULL, PRIMARY KEY (title_id, author_id)
);
COMMENT ON COLUMN title_authors.contribution IS 'writer, illustrator or translator';
CREATE TABLE copies (
    copy_id integer PRIMARY KEY, title_id integer NOT NULL REFERENCES titles,
    branch_id integer NOT NULL REFERENCES branches, acquired_on date NOT NULL, condition text NOT NULL,
    purchase_price numeric(6,2) NOT NULL, withdrawn_on date
);
COMMENT ON TABLE copies IS 'Each thing that can be lent';
COMMENT ON COLUMN copies.condition IS 'new, good, worn or damaged';
COMMENT ON COLUMN copies.withdrawn_on IS 'Day on which the copy was taken out of the collection; null while it is in it';
CREATE TABLE loans (
    loan_id integer PRIMARY KEY, copy_id integer NOT NULL REFERENCES copies,
    patron_id integer NOT NULL REFERENCES patrons, checked_out_at timestamp NOT NULL, due_on date NOT NULL,
    returned_on date, renewals integer NOT NULL
);
COMMENT ON COLUMN loans.returned_on IS 'Null while the copy is still out';
CREATE TABLE fines (
    fine_id integer PRIMARY KEY, loan_id integer NOT NULL REFERENCES loans, reason text NOT NULL,
    amount numeric(6,2) NOT NULL, issued_on date NOT NULL, paid_on date
);
COMMENT ON COLUMN fines.reason IS 'overdue, damage or lost';
COMMENT ON COLUMN fines.paid_on IS 'Null while the fine is unpaid';
CREATE TABLE holds (
    hold_id integer PRIMARY KEY, title_id integer NOT NULL REFERENCES titles,
    patron_id integer NOT NULL REFERENCES patrons, pickup_branch_id integer NOT NULL REFERENCES branches,
    placed_on date NOT NULL, status text NOT NULL
);
COMMENT ON TABLE holds IS 'Reservations of titles by patrons';
COMMENT ON COLUMN holds.status IS 'waiting, ready, collected or cancelled';
CREATE TABLE events (
    event_id integer PRIMARY KEY, branch_id integer NOT NULL REFERENCES branches, name text NOT NULL,
    category text NOT NULL, held_on date NOT NULL, capacity integer NOT NULL, attendance integer
);
COMMENT ON COLUMN events.category IS 'story time, workshop, author talk or book club';
COMMENT ON COLUMN events.attendance IS 'Visitors counted; null where the event was called off';

INSERT INTO branches VALUES
    (1, 'Central Library', 'Old Town', '1911-05-02', 5240.0, false, '555-0101'),
    (2, 'Harbour Branch', 'Docklands', '1998-09-14', 1310.5, true, '555-0102'),
    (3, 'Elm Park Branch', 'Elm Park', '1967-03-20', 980.0, true, '555-0103'),
    (4, 'Northgate Branch', 'Northgate', '1985-11-11', 1475.0, false, '555-0104'),
    (5, 'Millfield Branch', 'Millfield', '2004-06-01', 860.5, true, '555-0105'),
    (6, 'University Quarter Branch', 'Old Town', '2012-10-08', 2120.0, false, '555-0106'),
    (7, 'Riverside Branch', 'Docklands', '2019-04-27', 1150.0, true, '555-0107'),
    (8, 'Hilltop Branch', 'Northgate', '1974-01-15', 640.0, true, '555-0108');
INSERT INTO opening_hours
SELECT b, d, CASE WHEN d = 6 THEN time '10:00' ELSE time '09:00' END,
       CASE WHEN d = 6 THEN time '16:00' WHEN (b + d) % 3 = 0 THEN time '20:00' ELSE time '18:00' END
FROM generate_series(1, 8) b, generate_series(1, 7) d WHERE d < 6 OR (d = 6 AND b <> 8) OR (d = 7 AND b = 1);

CREATE TEMP TABLE first_name AS SELECT n, name FROM unnest(string_to_array(
    'Ada Bruno Clara Dario Edith Farid Greta Hanna Ivo Judith Karim Lena Milan Nora Otto Petra Quentin Rosa Sven Tilda',
    ' ')) WITH ORDINALITY AS f(name, n);
CREATE TEMP TABLE last_name AS SELECT n, name FROM unnest(string_to_array(
    'Abel Berger Costa Dahl Eriksen Falk Grant Holm Ishii Jansen Keller Lund Marsh Nagel Olsen Pohl Rossi Stern Tanaka '
    'Ulrich Varga Weiss Yilmaz Zeller Arendt Brandt Corbin Duval Eklund Ferrer', ' ')) WITH ORDINALITY AS l(name, n);

INSERT INTO staff
SELECT i, f.name || ' ' || l.name, (i - 1) % 8 + 1,
       CASE WHEN i <= 8 THEN 'branch manager' ELSE (ARRAY['librarian', 'assistant', 'librarian', 'page'])[i % 4 + 1] END,
       date '2003-02-01' + pg_temp.pick('hired' || i, 7800),
       CASE WHEN i <= 8 THEN 40 ELSE 16 + 4 * pg_temp.pick('hours' || i, 7) END,
       CASE WHEN i <= 8 THEN 38 + i * 0.75 ELSE 15.5 + i * 0.31 + pg_temp.pick('wage' || i, 600) / 100.0 END,
       CASE WHEN i = 1 THEN NULL WHEN i <= 8 THEN 1 ELSE (i - 1) % 8 + 1 END
FROM generate_series(1, 46) i JOIN first_name f ON f.n = (i * 7) % 20 + 1 JOIN last_name l ON l.n = (i * 11) % 30 + 1;

INSERT INTO patrons
SELECT i, f.name || ' ' || l.name, CASE kind WHEN 'child' THEN date '2012-01-01' WHEN 'student' THEN date '1999-01-01'
       WHEN 'senior' THEN date '1938-01-01' ELSE date '1962-01-01' END
       + pg_temp.pick('born' || i, CASE kind WHEN 'child' THEN 2500 WHEN 'student' THEN 2900 WHEN 'senior' THEN 7600 ELSE 12500 END),
       kind, 1 + (pg_temp.pick('home' || i, 14) * 4 / 7), date '2019-01-07' + pg_temp.pick('joined' || i, 2200),
       'LX' || 1 + pg_temp.pick('post' || i, 9), CASE WHEN i % 6 = 0 THEN NULL ELSE lower(f.name) || i || '@mail.example' END
FROM (SELECT i, (ARRAY['adult', 'adult', 'adult', 'child', 'child', 'student', 'senior'])[pg_temp.pick('kind' || i, 7) + 1] AS kind
      FROM generate_series(1, 420) i) p
JOIN first_name f ON f.n = pg_temp.pick('pf' || i, 20) + 1 JOIN last_name l ON l.n = pg_temp.pick('pl' || i, 30) + 1;

INSERT INTO authors
SELECT i, f.name || ' ' || l.name, (ARRAY['Norway', 'Japan', 'Canada', 'Nigeria', 'France', 'Chile'])[pg_temp.pick('nation' || i, 6) + 1],
       CASE WHEN i % 9 = 0 THEN NULL ELSE 1921 + pg_temp.pick('aborn' || i, 75) END
FROM generate_series(1, 60) i JOIN first_name f ON f.n = (i * 3) % 20 + 1 JOIN last_name l ON l.n = (i * 13 + i / 30) % 30 + 1;
INSERT INTO publishers VALUES (1, 'Lantern House', 'Canada'), (2, 'Fjord Press', 'Norway'), (3, 'Blue Heron Books', 'Canada'),
    (4, 'Editions Marelle', 'France'), (5, 'Kumo Publishing', 'Japan'), (6, 'Baobab Readers', 'Nigeria'), (7, 'Andes Libros', 'Chile'),
    (8, 'Quiet Harbour Audio', 'Canada'), (9, 'Paper Kite', 'Japan');
INSERT INTO titles
SELECT i, 'The ' || (ARRAY['Silent', 'Golden', 'Broken', 'Hidden', 'Winter', 'Distant', 'Paper', 'Restless', 'Crimson', 'Hollow', 'Northern', 'Last', 'Second', 'Salt'])[i % 14 + 1]
       || ' ' || (ARRAY['Garden', 'River', 'Clock', 'Orchard', 'Lighthouse', 'Letter', 'Mountain', 'Bridge', 'Kitchen', 'Compass', 'Island', 'Forest', 'Market', 'Train', 'Window'])[i % 15 + 1],
       pg_temp.pick('publisher' || i, CASE WHEN i % 10 = 0 THEN 9 ELSE 8 END) + 1, 1975 + pg_temp.pick('year' || i, 50),
       (ARRAY['English', 'English', 'English', 'French', 'Spanish', 'Japanese'])[pg_temp.pick('language' || i, 6) + 1], format,
       (ARRAY['Fiction', 'Fiction', 'History', 'Science', 'Children', 'Cooking', 'Travel'])[pg_temp.pick('subject' || i, 7) + 1],
       CASE WHEN format <> 'audiobook' THEN 90 + pg_temp.pick('pages' || i, 640) END, 6.5 + pg_temp.pick('price' || i, 4200) / 100.0
FROM (SELECT i, (ARRAY['hardcover', 'paperback', 'paperback', 'audiobook', 'large print'])[pg_temp.pick('format' || i, 5) + 1] AS format
      FROM generate_series(1, 180) i) t;
INSERT INTO title_authors
SELECT i, pg_temp.pick('writer' || i, 55) + 1, 'writer' FROM generate_series(1, 180) i
UNION ALL
SELECT i, (pg_temp.pick('writer' || i, 55) + 7) % 55 + 1, CASE WHEN i % 2 = 0 THEN 'illustrator' ELSE 'translator' END
FROM generate_series(1, 180) i WHERE pg_temp.pick('second' || i, 4) = 0;
INSERT INTO copies
SELECT i, 1 + pg_temp.pick('ct' || i, 172), 1 + pg_temp.pick('cb' || i, 14) * 4 / 7, date '2015-01-05' + pg_temp.pick('acquired' || i, 3600),
       (ARRAY['new', 'good', 'good', 'good', 'worn', 'worn', 'damaged'])[pg_temp.pick('condition' || i, 7) + 1],
       5 + pg_temp.pick('paid' || i, 3500) / 100.0,
       CASE WHEN pg_temp.pick('withdrawn' || i, 12) = 0 THEN date '2025-01-06' + pg_temp.pick('wday' || i, 150) END
FROM generate_series(1, 620) i;
INSERT INTO loans
SELECT i, 1 + pg_temp.pick('lc' || i, 600), 1 + pg_temp.pick('lp' || i, 380), at, at::date + 21 + 14 * renewals,
       CASE WHEN at > '2025-05-20' AND i % 3 > 0 THEN NULL ELSE at::date + 2 + pg_temp.pick('back' || i, 27) + 14 * renewals END, renewals
FROM (SELECT i, timestamp '2023-01-02 09:00' + pg_temp.pick('day' || i, 905) * interval '1 day' + pg_temp.pick('minute' || i, 540) * interval '1 minute' AS at,
             CASE WHEN pg_temp.pick('renew' || i, 5) = 0 THEN 1 + pg_temp.pick('renewals' || i, 3) ELSE 0 END AS renewals
      FROM generate_series(1, 2600) i) l;
INSERT INTO fines
SELECT row_number() OVER (ORDER BY loan_id), loan_id, reason,
       CASE reason WHEN 'overdue' THEN 0.35 * (returned_on - due_on) ELSE 8 + pg_temp.pick('fine' || loan_id, 2600) / 100.0 END,
       returned_on + 1, CASE WHEN pg_temp.pick('unpaid' || loan_id, 10) < 7 THEN returned_on + 1 + pg_temp.pick('payday' || loan_id, 50) END
FROM (SELECT loan_id, due_on, returned_on, CASE WHEN returned_on > due_on THEN 'overdue' WHEN loan_id % 55 = 0 THEN 'lost'
             WHEN loan_id % 23 = 0 THEN 'damage' END AS reason FROM loans WHERE returned_on IS NOT NULL) f
WHERE reason IS NOT NULL;
INSERT INTO holds
SELECT i, 1 + pg_temp.pick('ht' || i, 175), 1 + pg_temp.pick('hp' || i, 400), 1 + pg_temp.pick('hb' || i, 8),
       date '2024-01-02' + pg_temp.pick('placed' || i, 540),
       (ARRAY['collected', 'collected', 'collected', 'waiting', 'ready', 'cancelled'])[pg_temp.pick('hs' || i, 6) + 1]
FROM generate_series(1, 340) i;
INSERT INTO events
SELECT i, 1 + pg_temp.pick('eb' || i, 7), initcap(kind) || ' no. ' || i, kind, date '2023-01-10' + pg_temp.pick('held' || i, 880),
       capacity, CASE WHEN i % 11 <> 0 THEN 3 + pg_temp.pick('attend' || i, capacity - 2) END
FROM (SELECT i, (ARRAY['story time', 'workshop', 'author talk', 'book club'])[pg_temp.pick('ek' || i, 4) + 1] AS kind,
             15 + 5 * pg_temp.pick('cap' || i, 12) AS capacity FROM generate_series(1, 130) i) e;
