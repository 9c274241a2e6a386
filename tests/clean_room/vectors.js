'use strict';
// node vectors.js FOLDER: all vectors whose operations this card offers, and a count for each file and suite.
const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { answer } = require('./port');

const show = (value) => (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 3000);

function verdict({ out, result, ...question }, name) {
  let got;
  try { got = answer(question); } catch (e) { got = e.stack; }
  if (got === null) return 'not offered';
  if (isDeepStrictEqual(got, out)) return 'passed';
  console.log(`${name} ${question.tcId} ${question.suite}: ${question.comment}`);
  console.log(`  expected ${show(out)}\n  got      ${show(got)}`);
  return 'failed';
}

const folder = process.argv[2];
for (const name of fs.readdirSync(folder).filter((f) => f.endsWith('.jsonl')).sort()) {
  const counts = {};
  for (const line of fs.readFileSync(path.join(folder, name), 'utf8').trim().split('\n')) {
    const vector = JSON.parse(line);
    counts[vector.suite] ||= { passed: 0, failed: 0, 'not offered': 0 };
    counts[vector.suite][verdict(vector, name)] += 1;
  }
  for (const [suite, count] of Object.entries(counts)) {
    if (count.failed) process.exitCode = 1;
    console.log(`${name} ${suite} ${JSON.stringify(count)}`);
  }
}
