// postgres.js: everything prepared, sent ahead without waiting. Argument: governed or open.
const assert = require('node:assert/strict');
const postgres = require('postgres');

const sql = postgres({ max: 2, idle_timeout: 5, onnotice: () => {} });

async function governed() {
  const rows = await Promise.all([...Array(40).keys()].map((n) => sql`SELECT ${n}::int AS n`));
  assert.deepEqual(rows.map(([row]) => row.n), [...Array(40).keys()]);
  const emails = await sql`SELECT email FROM customers WHERE region_id = ${1} LIMIT 3`;
  assert(emails.every(({ email }) => email.includes('***@***')));
  await assert.rejects(sql`SELECT salary FROM employees`, { code: '42501' });
  await assert.rejects(sql.begin((t) => t`DELETE FROM customers`), { code: '25006' });
  const sizes = [];
  await sql`SELECT product_id FROM products ORDER BY 1 LIMIT 25`.cursor(10, (page) => { sizes.push(page.length); });
  assert.deepEqual(sizes, [10, 10, 5]);
  assert.equal((await sql.unsafe('SELECT 1; SELECT 2 AS two'))[1][0].two, 2);
}

async function open() {
  await sql`INSERT INTO things ${sql([...Array(20).keys()].map((n) => ({ id: 200 + n, name: 'x' })))}`;
  const [{ n }] = await sql`SELECT count(*)::int AS n FROM things`;
  assert.equal(n, 120);
  await assert.rejects(sql.begin(async (t) => {
    await t`DELETE FROM things`;
    throw new Error('no');
  }), /no/);
  assert.equal((await sql`SELECT 1 FROM things`).length, 120);
}

(process.argv[2] === 'open' ? open() : governed())
  .then(() => sql.end())
  .then(() => console.log('done'))
  .catch((error) => { console.error(error); process.exit(1); });
