// node-postgres over TLS. Arguments: the authority's certificate; a file with ada's certificate and key.
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { Client } = require('pg');

const [authority, file] = process.argv.slice(2);
const pem = readFileSync(file, 'utf8');
const ca = readFileSync(authority, 'utf8');

async function mechanism(config) {
  const client = new Client({ host: 'localhost', ...config });
  let chosen = '';
  const send = client.connection.sendSASLInitialResponseMessage;
  client.connection.sendSASLInitialResponseMessage = function (name, ...rest) {
    chosen = name;
    return send.call(this, name, ...rest);
  };
  await client.connect();
  assert.equal((await client.query('SELECT $1::int AS a', [7])).rows[0].a, 7);
  await client.end();
  return chosen;
}

async function main() {
  for (const sslnegotiation of ['postgres', 'direct']) {
    assert.equal(await mechanism({ ssl: { ca }, sslnegotiation, enableChannelBinding: true }), 'SCRAM-SHA-256-PLUS');
    assert.equal(await mechanism({ ssl: { ca }, sslnegotiation }), 'SCRAM-SHA-256');
    assert.equal(await mechanism({ ssl: { ca, cert: pem, key: pem }, sslnegotiation }), 'SCRAM-SHA-256');
  }
  await assert.rejects(mechanism({ ssl: { ca }, password: 'wrong' }), { code: '28P01' });
  await assert.rejects(mechanism({ ssl: { ca }, enableChannelBinding: true, password: 'wrong' }), { code: '28P01' });
  await assert.rejects(mechanism({ ssl: false }), { code: '28000' });
  console.log('done');
}

main();
