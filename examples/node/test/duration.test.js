'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');

const { parse, format, DurationError } = require('../src/duration.js');

const command = path.join(__dirname, '..', 'bin', 'duration.js');

describe('parse', () => {
  for (const [text, milliseconds] of [
    ['1h 30m', 5_400_000],
    ['1h30m', 5_400_000],
    ['90 minutes', 5_400_000],
    ['1.5 h', 5_400_000],
    ['2 Days', 172_800_000],
    ['250ms', 250],
    ['-1m', -60_000],
  ]) {
    it(`understands ${JSON.stringify(text)}`, () => assert.equal(parse(text), milliseconds));
  }

  for (const [text, position, reason] of [
    ['', 0, /expected a number/],
    ['soon', 0, /expected a number/],
    ['5', 1, /expected a unit/],
    ['5 parsecs', 2, /unknown unit "parsecs"/],
    ['5m 1h', 4, /from large to small/],
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof DurationError && error.position === position && reason.test(error.message),
      );
    });
  }
});

describe('format', () => {
  it('leaves out what is zero', () => assert.equal(format(86_460_000), '1d 1m'));
  it('has a word for nothing', () => assert.equal(format(0), '0s'));
  it('refuses fractions', () => assert.throws(() => format(0.5), RangeError));
  it('is undone by parse', () => {
    for (let n = 1; n < 1e12; n = n * 7 + 3) {
      assert.equal(parse(format(n)), n);
      assert.equal(parse(format(-n)), -n);
    }
  });
});

describe('the command', () => {
  it('adds up', () => {
    const output = execFileSync(process.execPath, [command, '45m', '45m'], { encoding: 'utf8' });
    assert.match(output, /^together 1h 30m$/m);
  });
  it('says where a mistake is, and exits with 1', () => {
    const { status, stderr } = spawnSync(process.execPath, [command, '3 apples'], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.equal(stderr, 'duration: "3 apples": unknown unit "apples" at position 3\n');
  });
});
