-- An energy utility: customers, meters, readings, invoices, outages. Abbreviated names, no key declared, a jsonb column.
-- The data are of 2023 and 2024. Every "random" choice is a digest of the row's number.

CREATE FUNCTION pg_temp.pick(seed text, many integer) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN ('x' || substr(md5(seed), 1, 7))::bit(28)::integer % many;

CREATE TABLE cust (cust_no integer, nm text, cust_typ char(1), addr text, twn text, zip text, reg_dt date, term_dt date, eml text);
CREATE TABLE trf (trf_cd text, descr text, unit_prc numeric(7,4), mth_fee numeric(6,2), valid_fr date, valid_to date);
CREATE TABLE mtr (mtr_no integer, ser_no text, cust_no integer, trf_cd text, subst_id integer, inst_dt date, mtr_typ text, attrs jsonb);
CREATE TABLE rdg (rdg_id integer, mtr_no integer, rdg_dt date, kwh numeric(9,1), est_flg char(1));
CREATE TABLE inv (inv_no integer, cust_no integer, inv_dt date, due_dt date, net_amt numeric(9,2), vat_amt numeric(9,2), sts text);
CREATE TABLE pmt (pmt_id integer, inv_no integer, pmt_dt date, amt numeric(9,2), pmt_mth text);
CREATE TABLE subst (subst_id integer, nm text, twn text, cap_mva numeric(6,1), volt_kv integer, comm_yr integer);
CREATE TABLE fdr (fdr_id integer, subst_id integer, fdr_cd text, len_km numeric(5,2), ug_flg boolean);
CREATE TABLE outg (outg_id integer, fdr_id integer, st_ts timestamp, end_ts timestamp, caus_cd text, cust_aff integer);
CREATE TABLE tech (tech_id integer, nm text, team text, hire_dt date, hr_rate numeric(6,2));
CREATE TABLE wo (wo_no integer, outg_id integer, mtr_no integer, tech_id integer, opn_dt date, cls_dt date, wo_typ text, hrs numeric(5,1), mat_cost numeric(8,2));
CREATE TABLE cmpl (cmpl_id integer, cust_no integer, rcv_dt date, subj text, res_dt date, chnl text);
CREATE TABLE mtr_old (mtr_no integer, ser_no text, cust_no integer, rmv_dt date);
COMMENT ON TABLE cust IS 'Customers with a supply contract, now or before';
COMMENT ON COLUMN cust.cust_typ IS 'R residential, C commercial, I industrial';
COMMENT ON COLUMN cust.twn IS 'Town';
COMMENT ON COLUMN cust.term_dt IS 'Day on which the contract ended; null while it runs';
COMMENT ON TABLE trf IS 'Tariffs';
COMMENT ON COLUMN trf.unit_prc IS 'Price of a kilowatt-hour in euros';
COMMENT ON COLUMN trf.mth_fee IS 'Standing charge in euros a month';
COMMENT ON TABLE mtr IS 'Electricity meters in service';
COMMENT ON COLUMN mtr.mtr_typ IS 'smart, digital or ferraris (with a turning disc)';
COMMENT ON COLUMN mtr.attrs IS 'Facts from the maker: {"maker": text, "phases": 1 or 3, "remote": true or false}';
COMMENT ON TABLE rdg IS 'Monthly consumption of each meter, at the first of the next month';
COMMENT ON COLUMN rdg.kwh IS 'Kilowatt-hours used in the month before rdg_dt';
COMMENT ON COLUMN rdg.est_flg IS 'Y estimated, N read';
COMMENT ON TABLE inv IS 'Invoices, one a quarter for each customer';
COMMENT ON COLUMN inv.sts IS 'paid, open or dunning (reminded)';
COMMENT ON TABLE pmt IS 'Payments received';
COMMENT ON COLUMN pmt.pmt_mth IS 'Method: debit, transfer or card';
COMMENT ON TABLE subst IS 'Substations';
COMMENT ON COLUMN subst.cap_mva IS 'Capacity in megavolt-amperes';
COMMENT ON COLUMN subst.comm_yr IS 'Year of commissioning';
COMMENT ON TABLE fdr IS 'Feeders: lines that leave a substation';
COMMENT ON COLUMN fdr.ug_flg IS 'true: underground cable, false: overhead line';
COMMENT ON TABLE outg IS 'Outages (power cuts) of a feeder';
COMMENT ON COLUMN outg.caus_cd IS 'STORM, TREE, ANIMAL, EQUIP, DIG or UNK';
COMMENT ON COLUMN outg.cust_aff IS 'Customers without power';
COMMENT ON COLUMN outg.end_ts IS 'Null while it lasts';
COMMENT ON TABLE tech IS 'Field technicians';
COMMENT ON TABLE wo IS 'Work orders: for an outage or for a meter';
COMMENT ON COLUMN wo.hrs IS 'Hours worked; null while open';
COMMENT ON TABLE cmpl IS 'Complaints';
COMMENT ON COLUMN cmpl.res_dt IS 'Day on which it was resolved; null while open';

INSERT INTO trf VALUES ('HOME', 'Household standard', 0.3120, 9.90, '2022-01-01', NULL), ('GREEN', 'Household green', 0.3345, 10.50, '2022-06-01', NULL),
    ('NIGHT', 'Household with night rate', 0.2780, 12.40, '2021-01-01', NULL), ('BIZ', 'Small business', 0.2655, 18.00, '2022-01-01', NULL),
    ('BULK', 'Industry', 0.1890, 145.00, '2023-01-01', NULL), ('HOME20', 'Household standard of 2020', 0.2810, 8.90, '2020-01-01', '2021-12-31');
INSERT INTO subst VALUES (1, 'Aspern', 'Lindau', 80.0, 110, 1988), (2, 'Birkfeld', 'Lindau', 63.0, 110, 1996), (3, 'Cronberg', 'Marbach', 40.0, 30, 1974),
    (4, 'Dornwald', 'Marbach', 25.0, 30, 2003), (5, 'Eichhof', 'Neustadt', 100.0, 110, 2011), (6, 'Fuchstal', 'Ostheim', 16.0, 20, 1969), (7, 'Grabenweg', 'Neustadt', 31.5, 30, 2019);
INSERT INTO fdr SELECT i, CASE WHEN i > 22 THEN 5 ELSE (i - 1) % 6 + 1 END, 'F-' || lpad(i::text, 3, '0'), 2.4 + pg_temp.pick('len' || i, 2800) / 100.0, pg_temp.pick('ug' || i, 5) < 2
FROM generate_series(1, 26) i;
INSERT INTO cust
SELECT i, CASE typ WHEN 'R' THEN (ARRAY['Anna', 'Boris', 'Carla', 'Denis', 'Eva', 'Fritz', 'Gisela', 'Horst', 'Inge'])[i % 9 + 1] || ' ' || (ARRAY['Lang', 'Maier', 'Novak', 'Pfeifer', 'Roth', 'Simon', 'Thaler'])[i % 7 + 1]
       WHEN 'C' THEN (ARRAY['Bakery', 'Hotel', 'Garage', 'Pharmacy', 'Cafe'])[i % 5 + 1] || ' ' || (ARRAY['Sonne', 'Adler', 'Post', 'Linde'])[i % 4 + 1] || ' ' || i
       ELSE (ARRAY['Steelworks', 'Papermill', 'Brewery', 'Sawmill'])[i % 4 + 1] || ' ' || i END, typ,
       (ARRAY['Main Street', 'Mill Lane', 'Station Road', 'Church Square'])[pg_temp.pick('st' || i, 4) + 1] || ' ' || 1 + pg_temp.pick('hn' || i, 120), t, '8' || 100 + 11 * length(t) + pg_temp.pick('zip' || i, 3),
       date '2012-01-02' + pg_temp.pick('reg' || i, 3990), CASE WHEN i % 14 = 0 THEN date '2024-01-31' + pg_temp.pick('term' || i, 300) END,
       CASE WHEN pg_temp.pick('eml' || i, 3) > 0 THEN 'c' || i || '@post.example' END
FROM (SELECT i, CASE WHEN pg_temp.pick('typ' || i, 20) < 14 THEN 'R' WHEN pg_temp.pick('typ' || i, 20) < 19 THEN 'C' ELSE 'I' END AS typ,
             (ARRAY['Lindau', 'Lindau', 'Marbach', 'Neustadt', 'Neustadt', 'Ostheim'])[pg_temp.pick('twn' || i, 6) + 1] AS t FROM generate_series(1, 210) i) c;
INSERT INTO mtr
SELECT i, 'SN' || 70000 + i * 37, c.cust_no, CASE c.cust_typ WHEN 'R' THEN (ARRAY['HOME', 'HOME', 'GREEN', 'NIGHT'])[pg_temp.pick('trf' || i, 4) + 1] WHEN 'C' THEN 'BIZ' ELSE 'BULK' END,
       s.subst_id, c.reg_dt + pg_temp.pick('inst' || i, 400), (ARRAY['smart', 'smart', 'digital', 'ferraris'])[pg_temp.pick('mt' || i, 4) + 1],
       jsonb_build_object('maker', (ARRAY['Landor', 'Elsta', 'Kampstrom'])[pg_temp.pick('maker' || i, 3) + 1], 'phases', CASE WHEN c.cust_typ = 'R' AND i % 3 > 0 THEN 1 ELSE 3 END, 'remote', pg_temp.pick('mt' || i, 4) < 2)
FROM (SELECT i, CASE WHEN i <= 205 THEN i ELSE 3 * (i - 205) END AS c_no FROM generate_series(1, 245) i) m JOIN cust c ON c.cust_no = m.c_no
JOIN LATERAL (SELECT subst_id FROM subst WHERE subst.twn = c.twn AND subst_id < 7 ORDER BY md5(i::text || subst_id) LIMIT 1) s ON true;
INSERT INTO rdg
SELECT row_number() OVER (ORDER BY m, d), m, d::date, CASE c.cust_typ WHEN 'R' THEN 140 + pg_temp.pick('kwh' || m, 180) WHEN 'C' THEN 900 + pg_temp.pick('kwh' || m, 2100) ELSE 22000 + pg_temp.pick('kwh' || m, 30000) END
       * (1 + 0.28 * cos((extract(month FROM d)::float8 - 2) * pi() / 6))::numeric(6,4) + pg_temp.pick('r' || m || d, 400) / 10.0, CASE WHEN pg_temp.pick('est' || m || d, 9) = 0 THEN 'Y' ELSE 'N' END
FROM generate_series(1, 245) m JOIN mtr ON mtr_no = m JOIN cust c USING (cust_no), generate_series(date '2023-02-01', date '2025-01-01', interval '1 month') d
WHERE d > mtr.inst_dt AND (c.term_dt IS NULL OR d <= c.term_dt);
INSERT INTO inv
SELECT row_number() OVER (ORDER BY d, cust_no), cust_no, d, d + 21, net, round(net * 0.2, 2),
       CASE WHEN pg_temp.pick('sts' || cust_no || d, 20) < 16 OR d < '2023-09-01' THEN 'paid' WHEN pg_temp.pick('sts' || cust_no || d, 20) < 18 THEN 'open' ELSE 'dunning' END
FROM (SELECT m.cust_no, (date_trunc('quarter', r.rdg_dt - 1) + interval '3 months 4 days')::date AS d, round(sum(r.kwh * t.unit_prc + t.mth_fee), 2) AS net
      FROM rdg r JOIN mtr m USING (mtr_no) JOIN trf t USING (trf_cd) GROUP BY 1, 2) q;
INSERT INTO pmt
SELECT row_number() OVER (ORDER BY inv_no, part), inv_no, due_dt - 12 + pg_temp.pick('pd' || inv_no, 30) + 9 * part, CASE WHEN parts = 1 THEN gross WHEN part = 0 THEN round(gross * 0.4, 2) ELSE gross - round(gross * 0.4, 2) END,
       (ARRAY['debit', 'debit', 'transfer', 'card'])[pg_temp.pick('pm' || cust_no, 4) + 1]
FROM (SELECT *, net_amt + vat_amt AS gross, CASE WHEN pg_temp.pick('parts' || inv_no, 12) = 0 THEN 2 ELSE 1 END AS parts FROM inv WHERE sts = 'paid') i, generate_series(0, parts - 1) part;
INSERT INTO outg
SELECT i, 1 + pg_temp.pick('of' || i, 24), at, CASE WHEN i <> 88 AND i <> 131 THEN at + (12 + pg_temp.pick('od' || i, 420)) * interval '1 minute' END,
       (ARRAY['STORM', 'STORM', 'TREE', 'ANIMAL', 'EQUIP', 'EQUIP', 'DIG', 'UNK'])[pg_temp.pick('oc' || i, 8) + 1], 15 + pg_temp.pick('oa' || i, 1900)
FROM (SELECT i, timestamp '2023-01-01' + pg_temp.pick('oday' || i, 730) * interval '1 day' + pg_temp.pick('omin' || i, 1439) * interval '1 minute' AS at FROM generate_series(1, 140) i) o;
INSERT INTO tech SELECT i, (ARRAY['Max', 'Lea', 'Tim', 'Nele', 'Jan', 'Pia', 'Ralf'])[i % 7 + 1] || ' ' || (ARRAY['Vogt', 'Brandl', 'Kern'])[i % 3 + 1], (ARRAY['grid', 'grid', 'metering', 'standby'])[i % 4 + 1],
       date '2008-04-01' + pg_temp.pick('th' || i, 5600), 31 + pg_temp.pick('tr' || i, 1900) / 100.0 FROM generate_series(1, 18) i;
INSERT INTO wo
SELECT row_number() OVER (ORDER BY opn, k), o, m, 1 + pg_temp.pick('wt' || k, 17), opn, CASE WHEN open THEN NULL ELSE opn + pg_temp.pick('wc' || k, 6) END, typ,
       CASE WHEN NOT open THEN 0.5 + pg_temp.pick('wh' || k, 95) / 10.0 END, CASE WHEN pg_temp.pick('wm' || k, 4) > 0 THEN 8 + pg_temp.pick('wx' || k, 90000) / 100.0 END
FROM (SELECT 'o' || outg_id AS k, outg_id AS o, NULL::integer AS m, st_ts::date AS opn, 'repair' AS typ, outg_id % 19 = 0 AS open FROM outg WHERE outg_id % 5 <> 0
      UNION ALL
      SELECT 'm' || i, NULL, 1 + pg_temp.pick('wmtr' || i, 240), date '2023-01-09' + pg_temp.pick('wo' || i, 700), (ARRAY['exchange', 'inspection', 'disconnect'])[pg_temp.pick('wty' || i, 3) + 1], i % 23 = 0 FROM generate_series(1, 160) i) w;
INSERT INTO cmpl
SELECT i, 1 + pg_temp.pick('cc' || i, 190), d, (ARRAY['billing', 'billing', 'outage', 'meter', 'service'])[pg_temp.pick('cs' || i, 5) + 1], CASE WHEN i % 8 <> 0 THEN d + 1 + pg_temp.pick('cr' || i, 40) END, (ARRAY['phone', 'email', 'letter'])[pg_temp.pick('ch' || i, 3) + 1]
FROM (SELECT i, date '2023-01-05' + pg_temp.pick('cd' || i, 720) AS d FROM generate_series(1, 150) i) c;
INSERT INTO mtr_old SELECT 9000 + i, 'SN' || 1000 + i * 13, 1 + (i * 5) % 200, date '2015-01-01' + i * 17 FROM generate_series(1, 60) i;
