-- A haulage company: lorries, drivers, trips and shipments. Names in camelCase, no key declared, enumerations, an array.
-- The data are of 2023 and 2024. Every "random" choice is a digest of the row's number.

CREATE FUNCTION pg_temp.pick(seed text, many integer) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN ('x' || substr(md5(seed), 1, 7))::bit(28)::integer % many;

CREATE TYPE "vehicleKind" AS ENUM ('van', 'rigid truck', 'articulated truck', 'refrigerated truck');
CREATE TYPE "shipmentStatus" AS ENUM ('booked', 'inTransit', 'delivered', 'lost', 'cancelled');

CREATE TABLE "depots" ("depotId" integer, "depotName" text, "cityName" text, "countryCode" char(2), "dockCount" integer, "openedDate" date);
CREATE TABLE "vehicles" (
    "vehicleId" integer, "plateNumber" text, "kind" "vehicleKind", "homeDepotId" integer, "maxLoadKg" integer,
    "purchaseDate" date, "purchasePrice" numeric(10,2), "odometerKm" integer, "retiredDate" date
);
CREATE TABLE "drivers" (
    "driverId" integer, "fullName" text, "homeDepotId" integer, "hireDate" date, "birthDate" date, "licenceClasses" text[],
    "monthlySalary" numeric(9,2), "isActive" boolean, "mobilePhone" text
);
CREATE TABLE "clients" (
    "clientId" integer, "companyName" text, "industry" text, "cityName" text, "countryCode" char(2), "creditLimit" numeric(11,2),
    "accountManager" text, "since" date
);
CREATE TABLE "trips" (
    "tripId" integer, "vehicleId" integer, "driverId" integer, "fromDepotId" integer, "toDepotId" integer,
    "departedAt" timestamp, "arrivedAt" timestamp, "plannedArrival" timestamp, "distanceKm" numeric(7,1), "tollCost" numeric(8,2)
);
CREATE TABLE "shipments" (
    "shipmentId" integer, "clientId" integer, "tripId" integer, "bookedAt" timestamp, "weightKg" numeric(8,1), "volumeM3" numeric(6,2),
    "freightCharge" numeric(9,2), "insuredValue" numeric(10,2), "status" "shipmentStatus", "isFragile" boolean, "goodsType" text
);
CREATE TABLE "deliveryAttempts" ("attemptId" integer, "shipmentId" integer, "attemptedAt" timestamp, "succeeded" boolean, "failureReason" text);
CREATE TABLE "fuelPurchases" (
    "purchaseId" integer, "vehicleId" integer, "driverId" integer, "purchasedAt" timestamp, "litres" numeric(6,1), "totalPrice" numeric(8,2), "stationBrand" text
);
CREATE TABLE "maintenanceJobs" (
    "jobId" integer, "vehicleId" integer, "workshopName" text, "startDate" date, "endDate" date, "jobType" text, "partsCost" numeric(9,2), "labourCost" numeric(9,2)
);
CREATE TABLE "claims" (
    "claimId" integer, "shipmentId" integer, "filedDate" date, "amountClaimed" numeric(9,2), "amountPaid" numeric(9,2), "closedDate" date
);
CREATE TABLE "tripsArchive2019" ("tripId" integer, "vehicleId" integer, "driverId" integer, "departedAt" timestamp, "distanceKm" numeric(7,1));
COMMENT ON TABLE "tripsArchive2019" IS 'Copied from the old system, incomplete; not for reports';
COMMENT ON COLUMN "trips"."arrivedAt" IS 'Null where the trip was broken off';
COMMENT ON COLUMN "shipments"."tripId" IS 'Null until the shipment is put on a trip';
COMMENT ON COLUMN "shipments"."freightCharge" IS 'What the client pays, in euros, without tax';
COMMENT ON COLUMN "claims"."amountPaid" IS 'Null while the claim is open, 0 where it was rejected';
COMMENT ON COLUMN "vehicles"."retiredDate" IS 'Null while the vehicle is in the fleet';

INSERT INTO "depots" VALUES (1, 'Rotterdam Europoort', 'Rotterdam', 'NL', 42, '1996-03-01'), (2, 'Antwerp North', 'Antwerp', 'BE', 30, '2001-07-16'),
    (3, 'Hamburg Billbrook', 'Hamburg', 'DE', 36, '1999-10-04'), (4, 'Lyon Est', 'Lyon', 'FR', 18, '2008-05-19'), (5, 'Milan Rho', 'Milan', 'IT', 22, '2011-02-07'),
    (6, 'Munich Riem', 'Munich', 'DE', 26, '2005-09-12'), (7, 'Lille Lesquin', 'Lille', 'FR', 14, '2016-04-11'), (8, 'Venlo Trade Port', 'Venlo', 'NL', 20, '2021-06-28');
INSERT INTO "vehicles"
SELECT i, chr(65 + i % 26) || chr(65 + (i * 5) % 26) || '-' || 100 + i * 7, kind::"vehicleKind", 1 + pg_temp.pick('vd' || i, 7),
       CASE kind WHEN 'van' THEN 1200 WHEN 'rigid truck' THEN 7500 WHEN 'articulated truck' THEN 24000 ELSE 18000 END + 50 * pg_temp.pick('ml' || i, 9),
       date '2014-01-15' + pg_temp.pick('vp' || i, 3500),
       CASE kind WHEN 'van' THEN 31000 WHEN 'rigid truck' THEN 68000 ELSE 104000 END + pg_temp.pick('price' || i, 2500000) / 100.0,
       20000 + pg_temp.pick('odo' || i, 640000), CASE WHEN i % 13 = 0 THEN date '2024-02-01' + i END
FROM (SELECT i, (ARRAY['van', 'rigid truck', 'articulated truck', 'articulated truck', 'refrigerated truck'])[pg_temp.pick('vk' || i, 5) + 1] AS kind
      FROM generate_series(1, 64) i) v;
INSERT INTO "drivers"
SELECT i, (ARRAY['Anke', 'Bilal', 'Chiara', 'Dirk', 'Elsa', 'Franck', 'Goran', 'Heike', 'Ilias', 'Joost', 'Katja', 'Luca'])[i % 12 + 1] || ' '
       || (ARRAY['de Vries', 'Schulz', 'Moreau', 'Bianchi', 'Peeters', 'Horvat', 'Lambert'])[i % 7 + 1], 1 + pg_temp.pick('dd' || i, 7),
       date '2006-01-09' + pg_temp.pick('dh' || i, 6300), date '1962-01-01' + pg_temp.pick('db' || i, 13500),
       CASE pg_temp.pick('dl' || i, 5) WHEN 0 THEN ARRAY['B'] WHEN 1 THEN ARRAY['B', 'C1'] WHEN 2 THEN ARRAY['B', 'C'] ELSE ARRAY['B', 'C', 'CE'] END,
       2350 + pg_temp.pick('ds' || i, 165000) / 100.0, i % 9 <> 0, '+31 6 5550 ' || 1000 + i
FROM generate_series(1, 75) i;
INSERT INTO "clients"
SELECT i, (ARRAY['Nova', 'Delta', 'Alpine', 'Baltic', 'Orion', 'Terra', 'Vector', 'Lumen'])[i % 8 + 1] || ' '
       || (ARRAY['Foods', 'Pharma', 'Textiles', 'Machinery', 'Electronics'])[i % 5 + 1], (ARRAY['food', 'pharmaceuticals', 'textiles', 'machinery', 'electronics'])[i % 5 + 1],
       c[1], c[2], 10000 + 500 * pg_temp.pick('cl' || i, 180), CASE WHEN i % 7 <> 0 THEN (ARRAY['M. Kramer', 'S. Dubois', 'T. Wagner', 'P. Conti'])[i % 4 + 1] END,
       date '2009-03-02' + pg_temp.pick('cs' || i, 5000)
FROM (SELECT i, (ARRAY[ARRAY['Rotterdam', 'NL'], ARRAY['Hamburg', 'DE'], ARRAY['Berlin', 'DE'], ARRAY['Lyon', 'FR'], ARRAY['Paris', 'FR'], ARRAY['Turin', 'IT'], ARRAY['Ghent', 'BE']])[pg_temp.pick('cc' || i, 7) + 1:pg_temp.pick('cc' || i, 7) + 1] AS cc
      FROM generate_series(1, 40) i) x, LATERAL (SELECT ARRAY[cc[1][1], cc[1][2]]) y(c);
INSERT INTO "trips"
SELECT i, 1 + pg_temp.pick('tv' || i, 60), 1 + pg_temp.pick('td' || i, 70), f, t, at,
       CASE WHEN i % 47 <> 0 THEN at + (km / 62 * 60 + pg_temp.pick('late' || i, 170) - 70) * interval '1 minute' END,
       at + km / 62 * interval '1 hour', km, CASE WHEN i % 6 <> 0 THEN round(km * 0.19 + pg_temp.pick('toll' || i, 900) / 100.0, 2) END
FROM (SELECT i, f, (f + pg_temp.pick('to' || i, 6)) % 7 + 1 AS t, timestamp '2023-01-02 04:00' + pg_temp.pick('tday' || i, 728) * interval '1 day'
             + pg_temp.pick('tmin' || i, 1000) * interval '1 minute' AS at, 110 + pg_temp.pick('km' || i, 10400) / 10.0 AS km
      FROM (SELECT i, 1 + pg_temp.pick('from' || i, 7) AS f FROM generate_series(1, 1100) i) a) b;
INSERT INTO "shipments"
SELECT i, 1 + pg_temp.pick('sc' || i, 37), trip, coalesce("departedAt", timestamp '2024-12-20') - (1 + pg_temp.pick('sb' || i, 9)) * interval '1 day' - pg_temp.pick('sm' || i, 500) * interval '1 minute',
       20 + pg_temp.pick('sw' || i, 48000) / 10.0, 0.2 + pg_temp.pick('sv' || i, 1900) / 100.0, 45 + pg_temp.pick('sf' || i, 190000) / 100.0,
       CASE WHEN i % 4 <> 0 THEN 500 + 25 * pg_temp.pick('si' || i, 1500) END,
       (CASE WHEN trip IS NULL THEN CASE WHEN i % 2 = 0 THEN 'booked' ELSE 'cancelled' END WHEN i % 83 = 0 THEN 'lost' WHEN "departedAt" > '2024-12-27' THEN 'inTransit' ELSE 'delivered' END)::"shipmentStatus",
       pg_temp.pick('fragile' || i, 5) = 0, (ARRAY['frozen food', 'medicines', 'clothing', 'spare parts', 'electronics', 'furniture'])[pg_temp.pick('goods' || i, 6) + 1]
FROM (SELECT i, CASE WHEN i % 29 <> 0 THEN 1 + pg_temp.pick('st' || i, 1100) END AS trip FROM generate_series(1, 2400) i) s
LEFT JOIN "trips" t ON t."tripId" = s.trip;
INSERT INTO "deliveryAttempts"
SELECT row_number() OVER (ORDER BY s."shipmentId", n), s."shipmentId", t."plannedArrival" + n * interval '20 hours', n = most,
       CASE WHEN n < most THEN (ARRAY['recipient absent', 'wrong address', 'refused', 'dock closed'])[pg_temp.pick('fr' || s."shipmentId" || n, 4) + 1] END
FROM (SELECT *, CASE WHEN pg_temp.pick('da' || "shipmentId", 6) = 0 THEN 2 + pg_temp.pick('db' || "shipmentId", 2) ELSE 1 END AS most FROM "shipments" WHERE "status" = 'delivered') s
JOIN "trips" t USING ("tripId"), generate_series(1, most) n;
INSERT INTO "fuelPurchases"
SELECT i, 1 + pg_temp.pick('fv' || i, 60), 1 + pg_temp.pick('fd' || i, 70), timestamp '2023-01-01 06:00' + pg_temp.pick('fa' || i, 1050000) * interval '1 minute', l,
       round(l * (1.48 + pg_temp.pick('fp' || i, 38) / 100.0), 2), (ARRAY['Shelby', 'Petrolia', 'Autobahn Fuel', 'Nordic Oil'])[pg_temp.pick('fb' || i, 4) + 1]
FROM (SELECT i, 60 + pg_temp.pick('fl' || i, 4400) / 10.0 AS l FROM generate_series(1, 900) i) x;
INSERT INTO "maintenanceJobs"
SELECT i, 1 + pg_temp.pick('mv' || i, 58), (ARRAY['Garage Maas', 'Werkstatt Elbe', 'Atelier Rhone', 'Officina Po'])[pg_temp.pick('mw' || i, 4) + 1], d,
       CASE WHEN i % 31 <> 0 THEN d + pg_temp.pick('me' || i, 9) END, (ARRAY['inspection', 'tyres', 'brakes', 'engine', 'body repair'])[pg_temp.pick('mt' || i, 5) + 1],
       40 + pg_temp.pick('mp' || i, 240000) / 100.0, 90 + pg_temp.pick('mo' || i, 130000) / 100.0
FROM (SELECT i, date '2023-01-04' + pg_temp.pick('md' || i, 715) AS d FROM generate_series(1, 230) i) x;
INSERT INTO "claims"
SELECT row_number() OVER (ORDER BY "shipmentId"), "shipmentId", "bookedAt"::date + 12 + pg_temp.pick('cf' || "shipmentId", 30), a,
       CASE pg_temp.pick('cp' || "shipmentId", 4) WHEN 0 THEN NULL WHEN 1 THEN 0 WHEN 2 THEN a ELSE round(a * 0.6, 2) END,
       CASE WHEN pg_temp.pick('cp' || "shipmentId", 4) > 0 THEN "bookedAt"::date + 60 + pg_temp.pick('ce' || "shipmentId", 60) END
FROM (SELECT *, 60 + pg_temp.pick('ca' || "shipmentId", 320000) / 100.0 AS a FROM "shipments" WHERE "status" = 'lost' OR ("status" = 'delivered' AND "shipmentId" % 27 = 0)) c;
INSERT INTO "tripsArchive2019"
SELECT i, i % 30 + 1, i % 40 + 1, timestamp '2019-01-01 05:00' + i * interval '29 hours', 90 + i * 1.7 FROM generate_series(1, 120) i;
