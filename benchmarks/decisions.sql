SELECT abalance FROM pgbench_accounts WHERE aid = 4711;
SELECT * FROM pgbench_branches;
SELECT count(*) FROM pgbench_accounts WHERE abalance < 0;
SELECT bid, sum(abalance) FROM pgbench_accounts GROUP BY bid ORDER BY 2 DESC LIMIT 5;
SELECT b.bid, count(t.tid) FROM pgbench_branches b LEFT JOIN pgbench_tellers t USING (bid) GROUP BY b.bid;
SELECT a.aid, a.filler, t.tbalance
  FROM pgbench_accounts a JOIN pgbench_tellers t ON t.bid = a.bid WHERE t.tid = 7;
SELECT aid, rank() OVER (PARTITION BY bid ORDER BY abalance DESC) FROM pgbench_accounts WHERE aid < 100;
WITH rich AS (SELECT bid FROM pgbench_accounts GROUP BY bid HAVING avg(abalance) > 0)
  SELECT b.* FROM pgbench_branches b WHERE b.bid IN (SELECT bid FROM rich);
SELECT bid FROM pgbench_branches EXCEPT SELECT bid FROM pgbench_tellers WHERE tbalance > 100;
SELECT "t"."tid" AS "teller", CASE WHEN "t"."tbalance" > 0 THEN 'up' ELSE 'down' END AS "way"
  FROM "public"."pgbench_tellers" "t" WHERE "t"."filler" IS NULL ORDER BY "t"."tid" ASC LIMIT 2001;
SELECT date_trunc('month', mtime), sum(delta)
  FROM pgbench_history WHERE mtime >= now() - interval '1 year' GROUP BY 1;
SHOW server_version;
