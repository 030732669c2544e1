// node-postgres as a dashboard's server uses it: pools, types, parameters, cursors, streams. Prints what steps.py says.
"use strict";

const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");

const steps = {};

async function run(name, call) {
  const started = process.hrtime.bigint();
  let outcome;
  try {
    const value = await call();
    outcome = { value: value === undefined ? null : JSON.parse(JSON.stringify(value)) };
  } catch (error) {
    outcome = { error: `${error.code}: ${error.message}` };
  }
  steps[name] = { ...outcome, ms: Number((process.hrtime.bigint() - started) / 1000n) / 1000 };
}

const shown = (result) => [result.command, result.rowCount, result.fields.map((one) => [one.name, one.dataTypeID]), result.rows];

async function main() {
  const client = new Client();
  await run("connect", async () => (await client.connect(), true));
  await run("rows", async () => shown(await client.query("SELECT * FROM customers ORDER BY customer_id LIMIT 5")));
  await run("parameters", async () => shown(await client.query("SELECT name FROM stores WHERE region_id = $1 AND opened_on > $2 ORDER BY 1", [3, new Date(0)])));
  const named = { name: "by channel", text: "SELECT channel, count(*) FROM orders WHERE status = ANY($1) GROUP BY 1 ORDER BY 1", values: [["shipped", "delivered"]] };
  await run("named", async () => shown(await client.query(named)));
  await run("named, again", async () => shown(await client.query(named)));
  await run("rows as arrays", async () => shown(await client.query({ text: "SELECT 1 AS x, 2 AS x, now() > 'epoch'", rowMode: "array" })));
  await run("types", async () => shown(await client.query("SELECT 1::int8, 1.5::numeric, '{1,2}'::int[], '{\"a\": 1}'::jsonb, DATE '2026-01-02', interval '1 day', NULL::text")));
  await run("several", async () => (await client.query("SELECT 1 AS a; SELECT count(*) FROM orders")).map(shown));
  await run("cursor", async () => {
    const cursor = client.query(new Cursor("SELECT order_id FROM orders ORDER BY 1"));
    const sizes = [(await cursor.read(100)).length, (await cursor.read(50)).length];
    await cursor.close();
    return sizes;
  });
  await run("stream", async () => {
    let count = 0;
    for await (const row of client.query(new QueryStream("SELECT * FROM order_items", [], { batchSize: 500 }))) count += row.order_id > 0;
    return count;
  });
  await run("transaction", async () => {
    await client.query("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const found = shown(await client.query("SELECT count(*) FROM products"));
    await client.query("COMMIT");
    return found;
  });
  await run("tables", async () => shown(await client.query("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")));
  await run("columns", async () => shown(await client.query("SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position")));
  await run("hidden column", () => client.query("SELECT salary FROM employees"));
  await run("write", () => client.query("DELETE FROM regions"));
  await run("SELECT * FROM no_such_table", () => client.query("SELECT * FROM no_such_table"));
  await client.end();
  const pool = new Pool({ max: 4 });
  await run("pool", async () => {
    const counts = await Promise.all(Array.from({ length: 20 }, (_, i) => pool.query("SELECT $1::int + count(*) AS n FROM stores", [i])));
    return counts.map((one) => one.rows[0].n);
  });
  await pool.end();
  const version = require("pg/package.json").version;
  process.stdout.write(JSON.stringify({ version, steps }));
}

main();
