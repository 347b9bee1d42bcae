// What is denied, and what strangers try (fault test 33 of `reliability.md`).
'use strict';

const { accessible, assert, call, shot, signedIn, step, tab, troubles, url } = require('./browser.cjs');

step('what is denied is shown as denied, in its place', async () => {
  const page = await tab();
  await page.goto(`${url}/-/`);
  await page.getByRole('textbox', { name: 'Keys' }).fill(process.env.CONSOLE_DENIED_KEYS);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'shop', exact: true }).waitFor();
  await page.getByRole('row', { name: /^shop/ }).getByText('Denied').waitFor();
  await accessible(page, 'denied');
  await shot(page, 'denied');
  await page.goto(`${url}/-/builds/${process.env.CONSOLE_HOSTILE}`);
  await page.getByText(/is not authorized to perform: codebuild:BatchGetBuilds/).first().waitFor();
  await page.goto(`${url}/-/queue`);
  await page.getByText(/is not authorized to perform: kiln:DescribeQueue/).waitFor();
  await page.context().close();
});

step('names that are markup stay names', async () => {
  const page = await signedIn();
  const name = '<img src=x onerror=alert(1)>';
  await page.goto(`${url}/-/projects/${encodeURIComponent(name)}`);
  await page.getByText(/There is no project|failed to satisfy/).first().waitFor();
  assert.equal(await page.locator('main img, main script').count(), 0);
  await page.goto(`${url}/-/builds/${encodeURIComponent(name)}`);
  await page.getByRole('alert').or(page.getByText(/no such build|failed to satisfy|Invalid/i)).first().waitFor();
  await page.goto(`${url}/-/queue`);
  await page.getByText('Nothing waits.').waitFor();
  await accessible(page, 'queue');
  await shot(page, 'queue');
  await page.context().close();
});

step('no other site frames it', async () => {
  const page = await tab();
  const refused = [];
  page.on('console', (message) => refused.push(message.text()));
  await page.goto(`${url}/-/health`);
  await page.setContent(`<iframe src="${url}/-/"></iframe>`);
  await page.waitForTimeout(500);
  const inside = page.frames().at(-1);
  assert.equal(await inside.locator('#root').count().catch(() => 0), 0);
  troubles.splice(0, troubles.length, ...troubles.filter((one) => !/frame/i.test(one)));
  await page.context().close();
});

step('markup in every field is text on every page', async () => {
  const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
  const inline = 'javascript:alert(3)';
  const project = {
    name: 'markup',
    description: markup,
    source: { type: 'NO_SOURCE', buildspec: `version: 0.2\nphases:\n  build:\n    commands:\n      - 'echo "${markup.replaceAll('"', "'").replaceAll("'", "''")}"'\n      - false ${inline}\n` },
    artifacts: { type: 'NO_ARTIFACTS' },
    environment: {
      type: 'LINUX_CONTAINER',
      image: 'host',
      computeType: 'BUILD_GENERAL1_SMALL',
      environmentVariables: [{ name: 'MARKUP', value: markup }, { name: 'LINK', value: inline }],
    },
    serviceRole: 'arn:aws:iam::000000000000:role/kiln-default-build-role',
    tags: [{ key: 'link', value: 'javascript:x' }],
    logsConfig: { cloudWatchLogs: { status: 'ENABLED', groupName: 'builds', streamName: 'markup' } },
  };
  await call('codebuild', 'CodeBuild_20161006.CreateProject', project);
  const { build } = await call('codebuild', 'CodeBuild_20161006.StartBuild', { projectName: 'markup' });
  await call('secretsmanager', 'secretsmanager.CreateSecret', { Name: 'markup', Description: markup, SecretString: markup });
  await call('ssm', 'AmazonSSM.PutParameter', { Name: 'markup', Description: markup, Value: markup, Type: 'String' });
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [{ Sid: 'a', Effect: 'Allow', Action: 'codebuild:*', Resource: `arn:aws:codebuild:us-east-1:000000000000:project/${markup}` }] });
  const trust = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 'codebuild.amazonaws.com' }, Action: 'sts:AssumeRole', Condition: { StringEquals: { 'aws:SourceArn': markup } } }] });
  const iam = (Action, input) => call('iam', undefined, { Action, Version: '2010-05-08', ...input });
  await iam('CreateRole', { RoleName: 'markup', AssumeRolePolicyDocument: trust, Description: inline });
  await iam('PutRolePolicy', { RoleName: 'markup', PolicyName: 'p', PolicyDocument: policy });
  const { publicProjectAlias } = await call('codebuild', 'CodeBuild_20161006.UpdateProjectVisibility', {
    projectArn: 'arn:aws:codebuild:us-east-1:000000000000:project/markup',
    projectVisibility: 'PUBLIC_READ',
    resourceAccessRole: 'arn:aws:iam::000000000000:role/kiln-default-build-role',
  });
  const uuid = build.id.split(':')[1];
  const pages = [
    ['projects/markup', '<img'],
    ['projects/markup/edit', 'Edit markup'],
    [`builds/${build.id}`, 'Failed'],
    ['dashboard?project=markup', 'markup #1'],
    ['secrets', '<img'],
    ['access/roles', inline],
    ['access/roles/markup', '<img'],
    ['audit?operation=CreateProject', 'CreateProject'],
    [`audit?operation=${encodeURIComponent(markup)}`, 'No record is like that.'],
    [`audit?user=${encodeURIComponent(markup)}`, 'No record is like that.'],
    [`images/${encodeURIComponent(markup)}`, /failed to satisfy|not exist|Invalid/],
    [`access/users/${encodeURIComponent(markup)}`, /cannot be found|invalid|failed/i],
    [`access/simulator/${encodeURIComponent(markup)}`, 'Policy simulator'],
    [`public/${publicProjectAlias}`, 'markup'],
    [`public/${publicProjectAlias}/builds/${uuid}`, 'Failed'],
  ];
  const page = await signedIn();
  for (const [path, text] of pages) {
    await page.goto(`${url}/-/${path}`);
    await page.locator('body', { hasText: text }).waitFor();
    for (const tab of await page.getByRole('tab').all()) await tab.click();
    const strange = await page.evaluate(() => ({
      made: document.querySelectorAll('main img:not([alt]), main script, [onerror], iframe, object, embed').length,
      links: [...document.querySelectorAll('a')].filter((a) => /^\s*javascript:/i.test(a.getAttribute('href') ?? '')).length,
    }));
    assert.deepEqual(strange, { made: 0, links: 0 }, path);
  }
  for (const [path, name] of [['audit?operation=CreateProject', /, record \d/], ['secrets', 'Show value of markup']]) {
    await page.goto(`${url}/-/${path}`);
    await page.getByRole('button', { name }).first().click();
    await page.getByRole('dialog').locator('pre', { hasText: 'img src=x' }).waitFor();
    assert.equal(await page.locator('[role=dialog] img, [role=dialog] script').count(), 0, path);
  }
  await page.context().close();
});

step('pages of strangers change nothing', async () => {
  const state = async () => {
    const list = (Action) => call('iam', undefined, { Action, Version: '2010-05-08' });
    return JSON.stringify([
      await call('codebuild', 'CodeBuild_20161006.ListProjects', {}),
      (await list('ListUsers')).match(/<UserName>[^<]*/g),
      (await list('ListRoles')).match(/<RoleName>[^<]*/g),
      await call('ecr', 'AmazonEC2ContainerRegistry_V20150921.DescribeRepositories', {}),
    ]);
  };
  const before = await state();
  // Of another site: what scripts and forms of it can send without this server's consent.
  const page = await tab();
  await page.context().route('http://stranger.test/**', (route) => {
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>stranger</title>' });
  });
  const own = troubles.length;
  await page.goto('http://stranger.test/');
  const answers = await page.evaluate(async (target) => {
    const told = [];
    const link = JSON.stringify({ link: 'x'.repeat(40) });
    for (const [path, type, body, headers] of [
      ['/', 'application/x-www-form-urlencoded', 'Action=CreateUser&Version=2010-05-08&UserName=stranger'],
      ['/', 'text/plain', '{"name":"stranger"}'],
      ['/', 'application/x-amz-json-1.1', '{"name":"stranger"}', { 'x-amz-target': 'CodeBuild_20161006.CreateProject' }],
      ['/-/sign-in', 'text/plain', link],
      ['/-/sign-in', 'application/json', link],
      ['/-/public-builds/ListPublicBuilds', 'application/json', '{"alias":"x"}'],
    ]) {
      for (const mode of ['cors', 'no-cors']) {
        const request = { method: 'POST', mode, body, headers: { 'content-type': type, ...headers } };
        const answer = await fetch(target + path, request).then((one) => ({ type: one.type, status: one.status }), () => undefined);
        if (answer) told.push(answer);
      }
    }
    const form = document.createElement('form');
    form.method = 'post';
    form.action = `${target}/`;
    form.innerHTML = '<input name="Action" value="CreateUser"><input name="UserName" value="stranger"><input name="Version" value="2010-05-08">';
    document.body.append(form);
    form.submit();
    return told;
  }, url);
  // What is answered at all, no script of theirs can read.
  assert.ok(answers.every(({ type, status }) => type === 'opaque' && status === 0), JSON.stringify(answers));
  await page.waitForURL(`${url}/`);
  troubles.splice(own, troubles.length, ...troubles.slice(own).filter((one) => !/^asked http:\/\/stranger\.test/.test(one)));

  // Of a site whose name points to this machine now: it is the same server, by a name that is not its own.
  const { port } = new URL(url);
  const rebound = await tab();
  const from = troubles.length;
  await rebound.context().route(`http://rebound.test:${port}/start`, (route) => {
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>stranger</title>' });
  });
  await rebound.goto(`http://rebound.test:${port}/start`);
  const said = await rebound.evaluate(async () => {
    const told = [];
    for (const path of ['/', '/-/', '/-/health', '/-/sign-in', '/-/public-builds/ListPublicBuilds', '/-/badges?uuid=x']) {
      for (const method of ['GET', 'POST']) {
        const init = method === 'POST' ? { method, body: '{}', headers: { 'content-type': 'application/json' } } : { method };
        told.push(await fetch(path, init).then((one) => one.ok, () => false));
      }
    }
    return told;
  });
  assert.ok(said.every((ok) => !ok), JSON.stringify(said));
  troubles.splice(from, troubles.length, ...troubles.slice(from).filter((one) => !/^asked http:\/\/rebound\.test/.test(one)));
  await rebound.context().close();
  await page.context().close();
  assert.equal(await state(), before);
});
