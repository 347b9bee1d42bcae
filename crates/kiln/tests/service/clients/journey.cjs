// A short journey with the AWS SDK for JavaScript (version 3).
'use strict';

const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');
const sdk = require('@aws-sdk/client-codebuild');

async function main() {
  const codebuild = new sdk.CodeBuildClient({});
  const send = (name, input) => codebuild.send(new sdk[`${name}Command`](input));

  const { project } = await send('CreateProject', {
    name: 'javascript',
    source: { type: 'NO_SOURCE', buildspec: 'version: 0.2\nphases: {build: {commands: ["echo $WORD", "exit $STATUS"]}}' },
    artifacts: { type: 'NO_ARTIFACTS' },
    environment: { type: 'LINUX_CONTAINER', image: 'host', computeType: 'BUILD_GENERAL1_SMALL' },
    serviceRole: 'arn:aws:iam::000000000000:role/kiln-default-build-role',
  });
  assert.ok(project.created instanceof Date);

  async function built(status) {
    const { build } = await send('StartBuild', {
      projectName: 'javascript',
      environmentVariablesOverride: [{ name: 'STATUS', value: String(status), type: 'PLAINTEXT' }],
    });
    for (;;) {
      const { builds } = await send('BatchGetBuilds', { ids: [build.id] });
      if (builds[0].buildComplete) return builds[0];
      await sleep(50);
    }
  }

  const good = await built(0);
  assert.equal(good.buildStatus, 'SUCCEEDED');
  assert.equal(good.phases.at(-1).phaseType, 'COMPLETED');
  assert.ok(good.phases.every((phase) => phase.startTime instanceof Date));
  const bad = await built(3);
  assert.equal(bad.buildStatus, 'FAILED');
  assert.match(bad.phases.find((phase) => phase.phaseType === 'BUILD').contexts[0].message, /exit status 3/);

  const ids = [];
  for await (const page of sdk.paginateListBuildsForProject({ client: codebuild }, { projectName: 'javascript' })) {
    ids.push(...page.ids);
  }
  assert.deepEqual(ids, [bad.id, good.id]);

  await assert.rejects(send('StartBuild', { projectName: 'nowhere' }), (error) => {
    assert.ok(error instanceof sdk.ResourceNotFoundException, String(error));
    return true;
  });
  const wrong = new sdk.CodeBuildClient({ credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x' } });
  await assert.rejects(wrong.send(new sdk.ListProjectsCommand({})), { name: 'UnrecognizedClientException' });

  const { buildsDeleted } = await send('BatchDeleteBuilds', { ids });
  assert.equal(buildsDeleted.length, 2);
  await send('DeleteProject', { name: project.arn });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
