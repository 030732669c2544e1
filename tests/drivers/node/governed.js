// node-postgres under a governed policy. Arguments: none; where to connect is in PGHOST and its fellows.
const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');

const refused = (code) => (error) => { assert.equal(error.code, code, error.message); return true; };
const masked = (rows) => rows.every((row) => row.email.includes('***@***'));

async function queries(client) {
  const simple = await client.query('SELECT 1 AS one; SELECT 2 AS two');
  assert.deepEqual(simple.map((result) => result.rows), [[{ one: 1 }], [{ two: 2 }]]);
  const asked = await client.query('SELECT email FROM customers WHERE region_id = $1 LIMIT 3', [1]);
  assert.equal(asked.rows.length, 3);
  assert(masked(asked.rows));
  for (let region = 1; region < 5; region++) {
    const named = { name: 'by-region', text: 'SELECT email FROM customers WHERE region_id = $1 LIMIT 2', values: [region] };
    assert(masked((await client.query(named)).rows));
  }
  const binary = await client.query({ text: 'SELECT $1::int AS a, now() AS b', values: [7], binary: true });
  assert.equal(binary.rows[0].a, 7);
  const array = await client.query({ text: 'SELECT name FROM regions ORDER BY 1', rowMode: 'array' });
  assert.deepEqual(array.rows[0], ['Central']);
}

async function refusals(client) {
  await assert.rejects(client.query('SELECT salary FROM employees'), refused('42501'));
  await assert.rejects(client.query('DELETE FROM customers WHERE customer_id = $1', [1]), refused('25006'));
  await client.query('BEGIN');
  await assert.rejects(client.query('UPDATE regions SET name = $1', ['x']), refused('25006'));
  await assert.rejects(client.query('SELECT 1'), refused('25P02'));
  await client.query('ROLLBACK');
}

// Execute with a row limit and Flush, not Sync, between the pages.
async function cursors(client) {
  const cursor = client.query(new Cursor('SELECT product_id FROM products ORDER BY 1 LIMIT $1', [25]));
  const first = await cursor.read(10);
  const second = await cursor.read(10);
  const third = await cursor.read(10);
  assert.deepEqual([first.length, second.length, third.length], [10, 10, 5]);
  await cursor.close();
  const left = client.query(new Cursor('SELECT product_id FROM products'));
  assert.equal((await left.read(3)).length, 3);
  await left.close();
  const bad = client.query(new Cursor('SELECT salary FROM employees'));
  await assert.rejects(bad.read(1), refused('42501'));
  let count = 0;
  for await (const row of client.query(new QueryStream('SELECT product_id FROM products LIMIT 40', [], { batchSize: 7 }))) {
    count += row.product_id > 0 ? 1 : 0;
  }
  assert.equal(count, 40);
}

async function timeouts() {
  const client = new Client({ query_timeout: 300, statement_timeout: 600 });
  await client.connect();
  const slow = 'SELECT count(*) FROM order_items a, order_items b, order_items c';
  await assert.rejects(client.query(slow), /timeout/);  // the driver's own: the server goes on
  await client.end();
  const other = new Client({ statement_timeout: 300 });
  await other.connect();
  await assert.rejects(other.query(slow), refused('57014'));
  await other.end();
}

async function pooled() {
  const pool = new Pool({ max: 3 });
  const results = await Promise.all([...Array(30).keys()].map((n) => pool.query('SELECT $1::int AS n', [n])));
  assert.deepEqual(results.map((result) => result.rows[0].n), [...Array(30).keys()]);
  await pool.end();
}

async function main() {
  const client = new Client();
  await client.connect();
  await queries(client);
  await refusals(client);
  await cursors(client);
  assert.equal((await client.query('SELECT 1 AS still')).rows[0].still, 1);
  await client.end();
  await pooled();
  await timeouts();
  console.log('done');
}

main().catch((error) => { console.error(error); process.exit(1); });
