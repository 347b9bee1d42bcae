// The web console in a real browser: Debian's Chromium, driven by Playwright.
//
// Takes from the environment: where the console is (CONSOLE_URL), links that sign in (CONSOLE_LINK; CONSOLE_DENIED_KEYS: keys
// of a user who may do little), which projects there are, where screenshots go (CONSOLE_SHOTS, if they are wanted). Whatever the
// console asks of another server, and whatever its content security policy refuses, fails the journey; so does a serious
// finding of axe.
'use strict';

const { main } = require('./console/browser.cjs');

require('./console/builds.cjs');
require('./console/logs.cjs');
require('./console/service.cjs');
require('./console/public.cjs');
require('./console/abuse.cjs');

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
