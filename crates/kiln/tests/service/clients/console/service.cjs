// The rest of the service: images, caches, credentials, secrets, access, the audit log.
'use strict';

const crypto = require('node:crypto');
const { accessible, assert, call, fits, narrow, shot, signedIn, step, url } = require('./browser.cjs');

const ECR = 'AmazonEC2ContainerRegistry_V20150921';
const dark = { viewport: narrow, colorScheme: 'dark' };

/** Looks at a page as people have it: light and wide, dark and narrow. */
async function seen(name, path, ready) {
  for (const [suffix, options] of [['', {}], ['-dark-narrow', dark]]) {
    const page = await signedIn(options);
    await page.goto(`${url}/-/${path}`);
    await ready(page);
    await accessible(page, name + suffix);
    await fits(page, name + suffix);
    await shot(page, name + suffix);
    await page.context().close();
  }
}

const heading = (name) => (page) => page.getByRole('heading', { name, level: 1 }).waitFor();

/** An image of one layer, pushed by ECR's operations. */
async function pushed(repositoryName, tag, content) {
  const layer = Buffer.from(content);
  const sum = (bytes) => `sha256:${crypto.createHash('sha256').update(bytes).digest('hex')}`;
  const config = Buffer.from(JSON.stringify({ author: content, architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }));
  for (const bytes of [layer, config]) {
    const { uploadId } = await call('ecr', `${ECR}.InitiateLayerUpload`, { repositoryName });
    await call('ecr', `${ECR}.UploadLayerPart`, {
      repositoryName,
      uploadId,
      partFirstByte: 0,
      partLastByte: bytes.length - 1,
      layerPartBlob: bytes.toString('base64'),
    });
    await call('ecr', `${ECR}.CompleteLayerUpload`, { repositoryName, uploadId, layerDigests: [sum(bytes)] });
  }
  const type = (name) => `application/vnd.oci.image.${name}`;
  const manifest = {
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config: { mediaType: type('config.v1+json'), digest: sum(config), size: config.length },
    layers: [{ mediaType: type('layer.v1.tar'), digest: sum(layer), size: layer.length }],
  };
  await call('ecr', `${ECR}.PutImage`, { repositoryName, imageTag: tag, imageManifest: JSON.stringify(manifest) });
}

step('images are listed and deleted', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/`);
  await page.getByRole('button', { name: 'Service' }).click();
  await page.getByRole('menuitem', { name: 'Images' }).click();
  await page.getByText('No repositories').waitFor();
  await page.getByRole('button', { name: 'Create repository' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('Not A Name');
  await dialog.getByRole('button', { name: 'Create repository' }).click();
  await dialog.getByText(/failed to satisfy constraint/).waitFor();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('team/app');
  await dialog.getByRole('button', { name: 'Create repository' }).click();
  await page.getByRole('link', { name: 'team/app' }).click();
  await page.getByText('No images yet').waitFor();
  await page.getByText(`docker push ${new URL(url).host}/team/app:latest`).waitFor();
  await accessible(page, 'repository, empty');
  await pushed('team/app', 'v1', 'one');
  await pushed('team/app', 'v2', 'another one');
  await page.reload();
  await page.getByRole('row', { name: /v1/ }).getByText('Never').waitFor();
  await page.getByRole('row', { name: /v2/ }).getByText(/^sha256:[0-9a-f]{64}$/).waitFor();
  await page.getByPlaceholder('Find').fill('v1');
  await page.getByText('1 match', { exact: true }).first().waitFor();
  await page.getByRole('checkbox', { name: /^Select sha256/ }).check();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Nothing matches.').waitFor();
  const left = await call('ecr', `${ECR}.DescribeImages`, { repositoryName: 'team/app' });
  assert.deepEqual(left.imageDetails.map(({ imageTags }) => imageTags), [['v2']]);
  await page.context().close();
  await seen('images', 'images', (page) => page.getByRole('link', { name: 'team/app' }).waitFor());
  await seen('repository', 'images/team%2Fapp', (page) => page.getByRole('row', { name: /v2/ }).waitFor());
});

step('caches are listed and deleted', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/caches`);
  const kept = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'cached' }) });
  await kept.getByText('kept/**/*').waitFor();
  await accessible(page, 'caches');
  await fits(page, 'caches');
  await shot(page, 'caches');
  await kept.getByRole('link', { name: 'cached' }).waitFor();
  await page.getByRole('checkbox', { name: /^Select [0-9a-f]{12}$/ }).check();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText(/^1 cache deleted, .* freed\.$/).waitFor();
  await page.getByText('No caches').waitFor();
  const { caches } = await call('kiln', 'Kiln_20261122.ListCaches', {});
  assert.deepEqual(caches, []);
  await page.context().close();
  await seen('caches-none', 'caches', (page) => page.getByText('No caches').waitFor());
});

step('source credentials are imported and deleted, and never shown', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/credentials`);
  await page.getByText('No source credentials').waitFor();
  await page.getByRole('button', { name: 'Import credentials' }).click();
  const dialog = page.getByRole('dialog');
  const token = dialog.getByLabel('Token or password');
  assert.equal(await token.getAttribute('type'), 'password');
  await token.fill('ghp_never-shown-again');
  await accessible(page, 'import credentials');
  await shot(page, 'credentials-import');
  await dialog.getByRole('button', { name: 'Import credentials' }).click();
  await page.getByRole('row', { name: /GitHub/ }).getByText('Personal access token').waitFor();
  assert.ok(!(await page.content()).includes('ghp_never-shown-again'));
  await page.context().close();
  await seen('credentials', 'credentials', (page) => page.getByRole('row', { name: /GitHub/ }).waitFor());
  const again = await signedIn();
  await again.goto(`${url}/-/credentials`);
  await again.getByRole('row', { name: /GitHub/ }).getByRole('checkbox').check();
  await again.getByRole('button', { name: 'Delete' }).click();
  await again.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await again.getByText('No source credentials').waitFor();
  await again.context().close();
});

step('values of secrets are shown to who asks for them', async () => {
  const secret = 'the value <b>of</b> a secret';
  await call('secretsmanager', 'secretsmanager.CreateSecret', { Name: 'team/token', Description: 'Deploys', SecretString: secret });
  await call('ssm', 'AmazonSSM.PutParameter', { Name: '/team/url', Value: 'https://example.com/', Type: 'SecureString' });
  const page = await signedIn();
  const asked = [];
  page.on('request', (request) => asked.push(request.headers()['x-amz-target'] ?? ''));
  await page.goto(`${url}/-/secrets`);
  await page.getByRole('row', { name: /team\/token/ }).getByText('Never').waitFor();
  assert.ok(!asked.some((target) => target.includes('GetSecretValue')), 'a value was read that nobody asked for');
  await page.getByRole('button', { name: 'Show value of team/token' }).click();
  await page.getByRole('dialog').locator('pre', { hasText: secret }).waitFor();
  await accessible(page, 'secret');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  assert.ok(!(await page.content()).includes('the value'), 'it is there when nobody looks any more');
  await page.getByRole('tab', { name: 'Parameters' }).click();
  await page.getByRole('row', { name: /\/team\/url/ }).getByText('SecureString').waitFor();
  await accessible(page, 'parameters');
  await shot(page, 'parameters');
  await page.getByRole('button', { name: 'Show value of /team/url' }).click();
  await page.getByRole('dialog').locator('pre', { hasText: 'https://example.com/' }).waitFor();
  await page.context().close();
  await seen('secrets', 'secrets', (page) => page.getByRole('row', { name: /team\/token/ }).waitFor());
});

step('users are made, given keys and policies, and asked about', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/access/policies`);
  await page.getByRole('button', { name: 'Create policy' }).click();
  let dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('starters');
  await dialog.getByRole('textbox', { name: 'Policy document' }).fill('{"Version": "2012-10-17", "Statement": [}');
  await dialog.getByRole('button', { name: 'Create policy' }).click();
  await dialog.getByText(/This policy contains invalid Json/).waitFor();
  const statement = { Sid: 'Start', Effect: 'Allow', Action: 'codebuild:StartBuild', Resource: '*' };
  await dialog
    .getByRole('textbox', { name: 'Policy document' })
    .fill(JSON.stringify({ Version: '2012-10-17', Statement: [statement] }, null, 2));
  await accessible(page, 'create policy');
  await shot(page, 'policy-create');
  await dialog.getByRole('button', { name: 'Create policy' }).click();
  await page.getByRole('button', { name: 'starters' }).click();
  await page.getByRole('dialog').locator('pre', { hasText: 'codebuild:StartBuild' }).waitFor();
  await accessible(page, 'policy');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();

  await page.getByRole('tab', { name: 'Users' }).click();
  await page.getByRole('button', { name: 'Create user' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill('alice');
  await page.getByRole('dialog').getByRole('button', { name: 'Create user' }).click();
  await page.getByRole('heading', { name: 'alice', level: 1 }).waitFor();
  await page.getByText('No policies: nothing is allowed').waitFor();
  await page.getByRole('button', { name: 'Attach policies' }).click();
  dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: /Choose policies/ }).click();
  await dialog.getByRole('option', { name: /starters/ }).click();
  await page.keyboard.press('Escape');
  await dialog.getByRole('button', { name: 'Attach policies' }).click();
  await page.getByRole('button', { name: 'starters' }).waitFor();
  await page.getByRole('button', { name: 'Create access key' }).click();
  await page.getByRole('dialog').locator('pre', { hasText: /^aws_access_key_id = AKIA\w+\naws_secret_access_key = \S+$/ }).waitFor();
  await accessible(page, 'access key');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  const key = page.getByRole('row', { name: /AKIA/ });
  await key.getByText('Active', { exact: true }).waitFor();
  await key.getByRole('button', { name: /^Deactivate/ }).click();
  await key.getByText('Inactive', { exact: true }).waitFor();
  assert.match(await call('iam', undefined, { Action: 'ListAccessKeys', Version: '2010-05-08', UserName: 'alice' }), /<Status>Inactive</);

  // What they may, and why.
  await page.getByRole('link', { name: 'Simulate' }).click();
  await page.getByRole('button', { name: 'Decide' }).click();
  await page.getByText('Allowed', { exact: true }).waitFor();
  await page.getByRole('row', { name: /starters.*Start.*applies/ }).waitFor();
  await accessible(page, 'simulator');
  await shot(page, 'simulator');
  await page.getByRole('textbox', { name: 'Action' }).fill('codebuild:DeleteProject');
  await page.keyboard.press('Enter');
  await page.getByText('Denied: no statement allows it').waitFor();
  await page.getByRole('row', { name: /starters.*other actions/ }).waitFor();
  await page.context().close();

  for (const path of ['access/users', 'access/users/alice', 'access/policies']) {
    const ready = (page) => page.getByText('alice').or(page.getByText('starters')).first().waitFor();
    await seen(path.replaceAll('/', '-'), path, ready);
  }
  await seen('access-simulator', 'access/simulator/user%2Falice', (page) => page.locator('input[value$=":user/alice"]').waitFor());
  await seen('access-roles', 'access/roles', (page) => page.getByRole('link', { name: 'kiln-default-build-role' }).waitFor());
  await seen('access-role', 'access/roles/kiln-default-build-role', (page) => page.locator('pre', { hasText: 'sts:AssumeRole' }).waitFor());

  // All of it is taken back.
  const last = await signedIn();
  await last.goto(`${url}/-/access/users/alice`);
  await last.getByRole('row', { name: /starters/ }).getByRole('checkbox').check();
  await last.getByRole('button', { name: 'Detach' }).click();
  await last.getByRole('dialog').getByRole('button', { name: 'Detach' }).click();
  await last.getByText('No policies: nothing is allowed').waitFor();
  await last.getByRole('row', { name: /AKIA/ }).getByRole('checkbox').check();
  await last.getByRole('button', { name: 'Delete' }).last().click();
  await last.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await last.getByText('No access keys').waitFor();
  await last.getByRole('button', { name: 'Delete' }).first().click();
  await last.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await last.getByRole('button', { name: 'Create user' }).waitFor();
  assert.ok(!(await call('iam', undefined, { Action: 'ListUsers', Version: '2010-05-08' })).includes('alice'));
  await last.context().close();
});

step('the audit log is searched and verified', async () => {
  await call('secretsmanager', 'secretsmanager.CreateSecret', { Name: 'audited', SecretString: 'the value of it' });
  const page = await signedIn();
  await page.goto(`${url}/-/audit`);
  await page.getByRole('textbox', { name: 'Operation' }).fill('CreateSecret');
  const records = page.getByRole('row', { name: /CreateSecret/ });
  await records.first().getByText('secretsmanager', { exact: true }).waitFor();
  await page.waitForFunction(() => !document.body.innerText.includes('CreateProject'));
  await page.waitForURL((now) => now.href.endsWith('/-/audit?operation=CreateSecret'));
  await page.getByRole('button', { name: /, record \d/ }).first().click();
  await page.getByRole('dialog').locator('pre', { hasText: '"eventName": "CreateSecret"' }).waitFor();
  // The value of the secret is not in it.
  assert.ok(!(await page.content()).includes('the value'));
  await accessible(page, 'record');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText(/^All [\d,]+ records are as they were written$/).waitFor();
  await accessible(page, 'audit log, verified');
  await shot(page, 'audit-verified');
  await page.goto(`${url}/-/audit?kind=refused&hours=24&service=ecr`);
  await page.getByText('No record is like that.').or(page.getByRole('row').nth(1)).first().waitFor();
  await page.context().close();
  await seen('audit', 'audit?kind=changes', (page) => page.getByRole('row', { name: /CreateProject/ }).first().waitFor());
});

step('webhooks and repositories have pages', async () => {
  await seen('webhooks', 'webhooks', (page) => page.getByText('No webhooks').waitFor());
  const page = await signedIn();
  await page.goto(`${url}/-/webhooks`);
  await page.getByRole('button', { name: 'Create webhook' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Project').fill('shop');
  await page.keyboard.press('Escape');
  await accessible(page, 'create webhook');
  await shot(page, 'webhook-create');
  // A project without a repository cannot have one: the service says so, in its place.
  await dialog.getByRole('button', { name: 'Create webhook' }).click();
  await dialog.getByRole('alert').or(dialog.locator('[class*=awsui_alert]')).first().waitFor();
  await page.goto(`${url}/-/webhooks/shop`);
  // Nothing, or that there is no webhook, which is said in its place.
  await page.getByText('Nothing was delivered yet').or(page.locator('main [class*=awsui_alert]')).first().waitFor();
  await accessible(page, 'deliveries');
  await page.context().close();
  await seen('git-repositories', 'repositories', (page) => page.getByText(/No repositories|Not available/).first().waitFor());
});

step('keys go to pages', async () => {
  const page = await signedIn();
  await page.goto(`${url}/-/projects`);
  await page.getByRole('link', { name: 'shop', exact: true }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('Go to Caches').waitFor();
  await accessible(page, 'shortcuts');
  await shot(page, 'keyboard');
  // In a dialog they are letters.
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  assert.ok(page.url().endsWith('/-/projects'), page.url());
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await heading(/^Caches/)(page);
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.getByRole('link', { name: 'shop', exact: true }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('g c sho');
  assert.equal(await page.getByRole('searchbox', { name: 'Find projects' }).inputValue(), 'g c sho');
  assert.ok(page.url().endsWith('/-/projects'), page.url());
  await page.context().close();
});
