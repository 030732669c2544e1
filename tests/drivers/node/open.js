// node-postgres where the policy passes: writes, transactions, notifications.
const assert = require('node:assert/strict');
const { Client } = require('pg');

async function main() {
  const client = new Client();
  await client.connect();
  await client.query('BEGIN');
  for (let id = 200; id < 220; id++) await client.query('INSERT INTO things VALUES ($1, $2)', [id, 'x']);
  await client.query('COMMIT');
  assert.equal((await client.query('SELECT count(*)::int AS n FROM things')).rows[0].n, 120);
  await assert.rejects(client.query('INSERT INTO things VALUES (1, $1)', ['twice']), { code: '23505' });
  const heard = new Promise((resolve) => client.on('notification', (message) => resolve(message.payload)));
  await client.query('LISTEN news');
  await client.query("NOTIFY news, 'hello'");
  assert.equal(await heard, 'hello');
  await client.query('CREATE TEMP TABLE mine AS SELECT 1 AS a');
  await client.query('DISCARD ALL');
  await assert.rejects(client.query('SELECT * FROM mine'), { code: '42P01' });
  await client.end();
  console.log('done');
}

main().catch((error) => { console.error(error); process.exit(1); });
