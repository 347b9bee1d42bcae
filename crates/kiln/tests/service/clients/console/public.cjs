// Public builds: what anybody sees who has the address, and nothing else.
'use strict';

const { accessible, assert, call, fits, fs, narrow, shot, signedIn, step, tab, url } = require('./browser.cjs');

const ALLOWED = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['logs:GetLogEvents', 's3:GetObject'], Resource: '*' }],
});
const TRUST = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'codebuild.amazonaws.com' }, Action: 'sts:AssumeRole' }],
});

const iam = (Action, input) => call('iam', undefined, { Action, Version: '2010-05-08', ...input });

step('a project is made public, looked at by anybody, and hidden again', async () => {
  await iam('CreateRole', { RoleName: 'public-builds', AssumeRolePolicyDocument: TRUST });
  await iam('PutRolePolicy', { RoleName: 'public-builds', PolicyName: 'read', PolicyDocument: ALLOWED });
  const page = await signedIn();
  const visibility = async () => {
    await page.goto(`${url}/-/projects/shop`);
    await page.getByRole('button', { name: 'Actions' }).click();
    await page.getByRole('menuitem', { name: 'Public builds' }).click();
    return page.getByRole('dialog');
  };
  let dialog = await visibility();
  await dialog.getByLabel('Builds are public').click();
  await dialog.getByRole('textbox', { name: /^Role that/ }).fill('arn:aws:iam::000000000000:role/public-builds');
  await accessible(page, 'visibility');
  await shot(page, 'visibility');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const address = await page.getByRole('link', { name: 'Public address' }).getAttribute('href');
  assert.match(address, /^\/-\/public\/[0-9a-f]{32}$/);

  // Nobody is signed in in this tab: it asks for public builds, and signs nothing.
  const seen = [];
  for (const [name, options] of [['public', {}], ['public-dark-narrow', { viewport: narrow, colorScheme: 'dark' }]]) {
    const visitor = await tab(options);
    visitor.on('request', (request) => seen.push({ path: new URL(request.url()).pathname, headers: request.headers() }));
    await visitor.goto(url + address);
    await visitor.getByRole('heading', { name: 'shop', level: 1 }).waitFor();
    await visitor.getByRole('row', { name: /#2/ }).getByText('Failed').waitFor();
    await accessible(visitor, name);
    await fits(visitor, name);
    await shot(visitor, name);
    await visitor.getByRole('link', { name: '#1', exact: true }).click();
    await visitor.locator('.log-text', { hasText: /^hello world$/ }).waitFor();
    await accessible(visitor, `${name}, build`);
    await fits(visitor, `${name}, build`);
    await shot(visitor, `${name}-build`);
    // There is no search, which would take the service's time.
    assert.equal(await visitor.getByRole('searchbox').count(), 0);
    await visitor.getByRole('tab', { name: 'Artifacts' }).click();
    const downloading = visitor.waitForEvent('download');
    await visitor.getByRole('button', { name: 'Download' }).click();
    assert.equal(fs.readFileSync(await (await downloading).path()).subarray(0, 2).toString(), 'PK');
    await accessible(visitor, `${name}, artifacts`);
    await visitor.getByRole('tab', { name: 'Environment variables' }).click();
    await visitor.getByText('No variables are set.').waitFor();
    await visitor.goto(`${url}/-/projects`);
    await visitor.getByRole('heading', { name: 'Sign in to Kiln' }).waitFor();
    await visitor.context().close();
  }
  const asked = seen.filter(({ path }) => !/^\/-\/(assets\/|public\/|projects$)/.test(path));
  assert.ok(asked.length > 0 && asked.every(({ path }) => path.startsWith('/-/public-builds/')), JSON.stringify(asked));
  assert.ok(seen.every(({ headers }) => !headers.authorization), 'a visitor has signed something');

  // What a build was told by variables stays with it, and so do builds of other projects.
  const alias = address.split('/').pop();
  const ask = async (operation, input) => {
    const answer = await fetch(`${url}/-/public-builds/${operation}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ alias, ...input }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const { builds } = JSON.parse((await ask('ListPublicBuilds', {})).text);
  const secretive = builds.find(({ buildNumber }) => buildNumber === 2);
  const shown = await ask('GetPublicBuild', { uuid: secretive.uuid });
  assert.equal(shown.status, 200);
  assert.deepEqual(JSON.parse(shown.text).variables, [{ name: 'STATUS', type: 'PLAINTEXT' }]);
  for (const hidden of ['arn:', '000000000000', 'kiln-default-build-role', 'initiator', '"value"']) {
    assert.ok(!shown.text.includes(hidden), `${hidden}: ${shown.text}`);
  }
  for (const uuid of [process.env.CONSOLE_HOSTILE, process.env.CONSOLE_HOSTILE.split(':')[1], '../../etc/passwd']) {
    for (const operation of ['GetPublicBuild', 'GetPublicBuildLog', 'GetPublicBuildArtifact']) {
      const refused = await ask(operation, { uuid });
      assert.equal(refused.status, 400);
      assert.match(refused.text, /ResourceNotFoundException/, `${operation} ${uuid}`);
    }
  }

  // Without its permissions the result alone is public.
  await iam('DeleteRolePolicy', { RoleName: 'public-builds', PolicyName: 'read' });
  const stranger = await tab();
  await stranger.goto(`${url}${address}/builds/${secretive.uuid}`);
  await stranger.getByText('The log is not public.').waitFor();
  await accessible(stranger, 'public, no log');
  await stranger.getByRole('tab', { name: 'Phases and commands' }).click();
  await stranger.getByRole('row', { name: /^Build/ }).getByText('Failed').waitFor();
  assert.match((await ask('GetPublicBuildLog', { uuid: secretive.uuid })).text, /AccessDeniedException/);

  dialog = await visibility();
  await dialog.getByLabel('Builds are public').click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Public address' }).waitFor({ state: 'hidden' });
  await stranger.goto(url + address);
  await stranger.getByText('There is no such public project or build.').waitFor();
  assert.match((await ask('GetPublicBuild', { uuid: secretive.uuid })).text, /ResourceNotFoundException/);
  await stranger.goto(`${url}/-/public/%3Cimg%20src=x%20onerror=alert(1)%3E`);
  await stranger.getByText('There is no such public project or build.').waitFor();
  await stranger.context().close();
  await page.context().close();
});
