#!/usr/bin/env node
'use strict';

const { parse, format, DurationError } = require('../src/duration.js');

const texts = process.argv.slice(2);
if (texts.length === 0) {
  console.error('usage: duration TEXT…');
  process.exit(2);
}
try {
  const durations = texts.map(parse);
  for (const milliseconds of durations) console.log(`${format(milliseconds)} = ${milliseconds} ms`);
  if (durations.length > 1) console.log(`together ${format(durations.reduce((a, b) => a + b))}`);
} catch (error) {
  if (!(error instanceof DurationError)) throw error;
  console.error(`duration: ${error.message}`);
  process.exit(1);
}
