// S3 with the AWS SDK for JavaScript (version 3): bytes at once, as a stream, and in parts.
'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { Readable } = require('node:stream');
const sdk = require('@aws-sdk/client-s3');
const { Upload } = require('@aws-sdk/lib-storage');

async function main() {
  const s3 = new sdk.S3Client({ forcePathStyle: true });
  const send = (name, input) => s3.send(new sdk[`${name}Command`](input));
  const bytes = async (key) => Buffer.from(await (await send('GetObject', { Bucket, Key: key })).Body.transformToByteArray());
  const Bucket = 'javascript-bucket';
  await send('CreateBucket', { Bucket });

  await send('PutObject', { Bucket, Key: 'a', Body: 'text', Metadata: { word: 'clay' } });
  const got = await send('GetObject', { Bucket, Key: 'a' });
  assert.equal(await got.Body.transformToString(), 'text');
  assert.deepEqual(got.Metadata, { word: 'clay' });

  // A stream: chunks of its own, a checksum behind them.
  const body = randomBytes(300_000);
  await send('PutObject', { Bucket, Key: 'stream', Body: Readable.from([body]), ContentLength: body.length });
  assert.ok((await bytes('stream')).equals(body));

  // In parts, of a stream whose length nobody knows.
  const large = randomBytes(11 << 20);
  const pieces = Array.from({ length: 11 }, (_, n) => large.subarray(n << 20, (n + 1) << 20));
  await new Upload({ client: s3, params: { Bucket, Key: 'large', Body: Readable.from(pieces) } }).done();
  assert.ok((await bytes('large')).equals(large));

  await assert.rejects(send('GetObject', { Bucket, Key: 'missing' }), sdk.NoSuchKey);
  const { Contents } = await send('ListObjectsV2', { Bucket });
  assert.deepEqual(Contents.map((each) => each.Key), ['a', 'large', 'stream']);
  await send('DeleteObjects', { Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } });
  await send('DeleteBucket', { Bucket });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
