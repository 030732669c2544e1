-- The tables that policies/healthcare.yaml speaks of: a small hospital with made-up people. Load it into an empty
-- database and try the policy there; docs/policies.md explains both.
CREATE SCHEMA clinic;

CREATE TABLE clinic.wards (
    ward_id     integer PRIMARY KEY,
    name        text NOT NULL,
    specialty   text NOT NULL,
    beds        integer NOT NULL
);

CREATE TABLE clinic.staff (
    staff_id    integer PRIMARY KEY,
    login       text NOT NULL UNIQUE,
    name        text NOT NULL,
    profession  text NOT NULL,
    ward_id     integer NOT NULL REFERENCES clinic.wards,
    pager       text
);

CREATE TABLE clinic.patients (
    patient_id        integer PRIMARY KEY,
    record_number     text NOT NULL UNIQUE,
    name              text NOT NULL,
    birth_date        date NOT NULL,
    sex               text NOT NULL,
    postcode          text NOT NULL,
    phone             text,
    insurance_number  text NOT NULL,
    insurer           text NOT NULL,
    research_consent  boolean NOT NULL,
    is_protected      boolean NOT NULL
);
COMMENT ON COLUMN clinic.patients.is_protected IS 'A person of public life, or one of our own staff: extra care';

CREATE TABLE clinic.stays (
    stay_id        integer PRIMARY KEY,
    patient_id     integer NOT NULL REFERENCES clinic.patients,
    ward_id        integer NOT NULL REFERENCES clinic.wards,
    admitted_at    timestamptz NOT NULL,
    discharged_at  timestamptz,
    reason         text NOT NULL
);

CREATE TABLE clinic.care_team (
    patient_id  integer NOT NULL REFERENCES clinic.patients,
    staff_id    integer NOT NULL REFERENCES clinic.staff,
    since       date NOT NULL,
    until       date,
    PRIMARY KEY (patient_id, staff_id, since)
);
COMMENT ON TABLE clinic.care_team IS 'Who treats whom; until is empty while it lasts';

CREATE TABLE clinic.diagnoses (
    diagnosis_id  integer PRIMARY KEY,
    stay_id       integer NOT NULL REFERENCES clinic.stays,
    patient_id    integer NOT NULL REFERENCES clinic.patients,
    icd10         text NOT NULL,
    description   text NOT NULL,
    is_sensitive  boolean NOT NULL,
    noted_on      date NOT NULL
);
COMMENT ON COLUMN clinic.diagnoses.is_sensitive IS 'Psychiatry, addiction, infections that the law protects';

CREATE TABLE clinic.medications (
    medication_id  integer PRIMARY KEY,
    stay_id        integer NOT NULL REFERENCES clinic.stays,
    patient_id     integer NOT NULL REFERENCES clinic.patients,
    drug           text NOT NULL,
    dose_mg        numeric(8, 2) NOT NULL,
    started_on     date NOT NULL,
    ended_on       date
);

CREATE TABLE clinic.lab_results (
    result_id   integer PRIMARY KEY,
    patient_id  integer NOT NULL REFERENCES clinic.patients,
    test        text NOT NULL,
    value       numeric(10, 2) NOT NULL,
    unit        text NOT NULL,
    taken_at    timestamptz NOT NULL
);

CREATE TABLE clinic.notes (
    note_id     integer PRIMARY KEY,
    stay_id     integer NOT NULL REFERENCES clinic.stays,
    patient_id  integer NOT NULL REFERENCES clinic.patients,
    author_id   integer NOT NULL REFERENCES clinic.staff,
    body        text NOT NULL,
    written_at  timestamptz NOT NULL
);

CREATE TABLE clinic.invoices (
    invoice_id  integer PRIMARY KEY,
    stay_id     integer NOT NULL REFERENCES clinic.stays,
    patient_id  integer NOT NULL REFERENCES clinic.patients,
    amount      numeric(10, 2) NOT NULL,
    issued_on   date NOT NULL,
    paid_on     date
);

CREATE VIEW clinic.occupancy AS
    SELECT w.ward_id, w.name, w.beds, count(s.stay_id) AS occupied
    FROM clinic.wards w LEFT JOIN clinic.stays s ON s.ward_id = w.ward_id AND s.discharged_at IS NULL
    GROUP BY w.ward_id, w.name, w.beds;

INSERT INTO clinic.wards VALUES
    (1, 'North', 'internal medicine', 24), (2, 'South', 'surgery', 18), (3, 'Garden', 'psychiatry', 12);

INSERT INTO clinic.staff VALUES
    (1, 'dr_ahn', 'Mira Ahn', 'physician', 1, '101'), (2, 'dr_bose', 'Ravi Bose', 'physician', 2, '102'),
    (3, 'dr_cole', 'Ida Cole', 'physician', 3, '103'), (4, 'n_dahl', 'Per Dahl', 'nurse', 1, '201'),
    (5, 'n_ek', 'Siv Ek', 'nurse', 2, '202'), (6, 'b_frey', 'Uta Frey', 'billing', 1, '301');

INSERT INTO clinic.patients
SELECT n, 'R' || to_char(10000 + n, 'FM00000'),
       (ARRAY['Noah', 'Mia', 'Liam', 'Ella', 'Omar', 'Zoe', 'Finn', 'Ana'])[1 + n % 8] || ' '
       || (ARRAY['Berg', 'Castro', 'Dumas', 'Eriksen', 'Fischer', 'Grant', 'Haas'])[1 + n % 7],
       date '1935-01-01' + n * 397, CASE WHEN n % 2 = 0 THEN 'f' ELSE 'm' END, to_char(10100 + n % 17 * 13, 'FM00000'),
       '0301' || to_char(100000 + n * 37, 'FM000000'), 'V' || to_char(730000 + n * 11, 'FM000000'),
       (ARRAY['Alba', 'Borea', 'Civica'])[1 + n % 3], n % 3 <> 0, n % 20 = 0
FROM generate_series(1, 60) AS n;

INSERT INTO clinic.stays
SELECT n, 1 + n * 7 % 60, 1 + n % 3, timestamptz '2026-01-03 08:00+00' + n * interval '31 hours',
       CASE WHEN n % 5 = 0 THEN NULL ELSE timestamptz '2026-01-06 10:00+00' + n * interval '31 hours' END,
       (ARRAY['chest pain', 'fracture', 'low mood', 'fever', 'planned surgery'])[1 + n % 5]
FROM generate_series(1, 120) AS n;

INSERT INTO clinic.care_team
SELECT n, 1 + n / 2 % 3, date '2026-01-01', CASE WHEN n % 10 = 0 THEN date '2026-03-01' END FROM generate_series(1, 60) AS n;

INSERT INTO clinic.diagnoses
SELECT n, 1 + n % 120, (SELECT s.patient_id FROM clinic.stays s WHERE s.stay_id = 1 + n % 120),
       (ARRAY['I21.9', 'S72.0', 'F32.1', 'J18.9', 'B20', 'E11.9'])[1 + n % 6],
       (ARRAY['heart attack', 'hip fracture', 'depressive episode', 'pneumonia', 'HIV disease', 'diabetes'])[1 + n % 6],
       n % 6 IN (2, 4), date '2026-01-04' + n
FROM generate_series(1, 240) AS n;

INSERT INTO clinic.medications
SELECT n, 1 + n % 120, (SELECT s.patient_id FROM clinic.stays s WHERE s.stay_id = 1 + n % 120),
       (ARRAY['metformin', 'aspirin', 'sertraline', 'amoxicillin'])[1 + n % 4], 5 * (1 + n % 40), date '2026-01-04' + n,
       CASE WHEN n % 4 = 0 THEN NULL ELSE date '2026-01-14' + n END
FROM generate_series(1, 200) AS n;

INSERT INTO clinic.lab_results
SELECT n, 1 + n % 60, (ARRAY['glucose', 'creatinine', 'troponin'])[1 + n % 3], 40 + n * 7 % 160, 'mg/dl',
       timestamptz '2026-01-03 06:00+00' + n * interval '5 hours'
FROM generate_series(1, 400) AS n;

INSERT INTO clinic.notes
SELECT n, 1 + n % 120, (SELECT s.patient_id FROM clinic.stays s WHERE s.stay_id = 1 + n % 120), 1 + n % 5,
       'seen on the round, day ' || n % 9, timestamptz '2026-01-03 09:00+00' + n * interval '9 hours'
FROM generate_series(1, 240) AS n;

INSERT INTO clinic.invoices
SELECT n, n, (SELECT s.patient_id FROM clinic.stays s WHERE s.stay_id = n), 480 + n * 53 % 9000, date '2026-02-01' + n,
       CASE WHEN n % 4 <> 0 THEN date '2026-03-01' + n END
FROM generate_series(1, 120) AS n;
