// Long work on a real terminal: it says that it takes long, the bar is there, and Ctrl-C works while a thousand keys are in the thread pool's
// queue.

import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, program, smallSettings, type Project } from '../support/project.js';
import { openTerminal } from '../support/terminal.js';

let project: Project;
beforeEach(() => {
  // More RSA keys than any machine makes in a bearable time.
  const smtpClients = Array.from({ length: 900 }, (_, at) => ({ hostname: `c${at}` }));
  project = makeProject(smallSettings({ smtpClients, certificates: { keyType: 'rsa-4096' } }));
});
afterEach(() => {
  project.remove();
});

it('shows a bar, and Ctrl-C ends it at once', async () => {
  // Without a terminal to type on, it asks for no password first.
  const making = await openTerminal({
    command: ['sh', '-c', 'exec "$@" </dev/null', 'sh', process.execPath, program, 'make'],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home },
  });
  await making.waitFor('left');
  expect(making.screen()).toContain('relaycerts: making 901 RSA keys of 4096 bits, which takes seconds each');
  expect(making.screen()).toMatch(
    /keys and certificates \[[#-]{20}\] \d+ of 1802, [\d.]+\/(?:s|min), [\d.]+ (?:min|h) left/u,
  );
  making.press('C-c');
  expect(await making.ended()).toBe(130);
  expect(making.screen()).toContain('relaycerts: interrupted; nothing is half done');
  expect(readdirSync(project.folder).toSorted()).toEqual(['.relaycerts.lock', 'settings.json']);
  making.dispose();
});
