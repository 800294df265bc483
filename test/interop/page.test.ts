// The page of `show --format html` in a real browser: what it copies, remembers and shows, who can use it, and that it
// makes no request. One browser for all of it.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { openBrowser, type Browser } from '../support/browser.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { filesBelow } from '../support/secrets.js';
import { succeed } from '../support/succeed.js';

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

interface Blocks {
  readonly hosts: readonly {
    readonly host: string;
    readonly sections: Readonly<Record<string, { readonly blocks: readonly { readonly text: string }[] }>>;
  }[];
}

const hostile = {
  folder: `a "b' <img src=x onerror=alert(1)> &lt; c`,
  commonName: '</script><script>alert(1)</script><h1 onclick=x>',
};

let project: Project;
let browser: Browser;
let page: string;
let settingsFile: string;

beforeAll(async () => {
  project = makeProject(null);
  const folder = join(project.folder, hostile.folder);
  mkdirSync(folder, { recursive: true });
  settingsFile = join(folder, 'settings.json');
  const settings = smallSettings({
    ca: { commonName: hostile.commonName },
    certificates: { validDays: 20, renewBeforeDays: 5 },
  });
  writeFileSync(settingsFile, JSON.stringify(settings));
  // Made so long ago that one host's certificate has expired since, and the other's is new.
  const long = new Date(Date.now() - 25 * 86_400_000);
  succeed(await project.run(['--settings', settingsFile, 'make', '--quiet'], { now: long }));
  succeed(await project.run(['--settings', settingsFile, 'renew', 'relayhost', '--force', '--quiet']));
  page = await write();
  browser = await openBrowser();
  await browser.look({ width: 1280 });
  await browser.open(page);
});
afterAll(async () => {
  await browser.close();
  project.remove();
});

/** The page's address, as it is now. */
async function write(...args: readonly string[]): Promise<string> {
  const { stdout } = succeed(await project.run(['--settings', settingsFile, 'show', '--format', 'html', ...args]));
  const path = join(project.home, `page${args.length}.html`);
  writeFileSync(path, stdout);
  return pathToFileURL(path).href;
}

const lightness = (color: string): number => Number(/\d+/u.exec(color)?.[0]);

describe('the page', () => {
  it('shows both hosts side by side, or stacked in a narrow window', async () => {
    const places = `[...document.querySelectorAll('.hosts > section')].map((one) => { const { left, top } = one.getBoundingClientRect(); return [left, top]; })`;
    const [relay = [], home = []] = await browser.ask<number[][]>(places);
    expect(relay[1]).toBe(home[1]);
    expect(home[0]).toBeGreaterThan(600);
    await browser.look({ width: 360 });
    const [above = [], below = []] = await browser.ask<number[][]>(places);
    expect(above[0]).toBe(below[0]);
    expect(below[1]).toBeGreaterThan(above[1] ?? 0);
    const widths = '[document.documentElement.scrollWidth, document.documentElement.clientWidth]';
    const [needed, given] = await browser.ask<number[]>(widths);
    expect(needed).toBe(given);
    // The label of a button is on one line, however long the text beside it.
    const heights = `[...new Set([...document.querySelectorAll('button')].map((one) => one.offsetHeight))].length`;
    expect(await browser.ask<number>(heights)).toBe(1);
    await browser.look({ width: 1280 });
  });

  it('copies every block as it is, by its button', async () => {
    const { stdout } = succeed(await project.run(['--settings', settingsFile, 'show', '--json']));
    const wanted = answerOf<Blocks>(stdout).hosts.flatMap(({ sections }) =>
      Object.values(sections).flatMap(({ blocks }) => blocks.map(({ text }) => text)),
    );
    const ids = await browser.ask<string[]>(
      `[...document.querySelectorAll('button')].map((one) => one.getAttribute('aria-controls'))`,
    );
    const copied: string[] = [];
    for (const id of ids) {
      await browser.click(`button[aria-controls="${id}"]`);
      const text = await browser.ask<string>(`navigator.clipboard.readText()`);
      expect(text).toBe(await browser.ask(`document.getElementById('${id}').textContent`));
      copied.push(text);
      expect(await browser.ask(`document.querySelector('#said').textContent`)).toBe('Copied.');
    }
    expect(new Set(copied).size).toBeGreaterThan(10);
    expect(wanted.length).toBeGreaterThan(8);
    expect(wanted.filter((text) => !copied.includes(text))).toEqual([]);
    expect(copied.filter((text) => text.includes('show mailhost.example.org --format sh | ssh'))).toHaveLength(1);
  });

  it('is used with the keyboard only', async () => {
    await browser.open(page);
    const all = await browser.ask<number>(`document.querySelectorAll('button, input').length`);
    const seen: string[] = [];
    for (let count = 0; count < all; count += 1) {
      await browser.press('Tab');
      const [word = '', outline = ''] = await browser.ask<string[]>(
        `[document.activeElement.name || document.activeElement.title, getComputedStyle(document.activeElement).outlineStyle]`,
      );
      expect(outline).toBe('solid');
      seen.push(word);
      if (word.startsWith('Copy: ')) {
        const text = `document.getElementById(document.activeElement.getAttribute('aria-controls')).textContent`;
        await browser.press('Enter');
        expect(await browser.ask('navigator.clipboard.readText()')).toBe(await browser.ask(text));
      } else {
        await browser.press(' ');
        expect(await browser.ask('document.activeElement.checked')).toBe(true);
      }
    }
    expect(seen.filter((word) => word === '')).toEqual([]);
  });

  it('remembers its ticks until the host has another certificate', async () => {
    const ticked = `[...document.querySelectorAll('input')].map((one) => one.checked)`;
    const firstOpen = async (): Promise<number> => {
      await browser.open(page);
      return (await browser.ask<boolean[]>(ticked)).indexOf(false);
    };
    // The browser stores them in another process, which may be behind the next page.
    await expect.poll(firstOpen, { timeout: 60_000 }).toBe(-1);
    await browser.click('input');
    await expect.poll(firstOpen, { timeout: 60_000 }).toBe(0);
    succeed(await project.run(['--settings', settingsFile, 'renew', 'mailhost', '--force', '--quiet']));
    await browser.open(await write('mailhost'));
    expect(new Set(await browser.ask<boolean[]>(ticked))).toEqual(new Set([false]));
  });

  it('shows every expiry, the next one first, as of the day it is read', async () => {
    await browser.open(page);
    const rows = await browser.ask<string[][]>(
      `[...document.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.innerText))`,
    );
    expect(rows.map(([name]) => name)).toEqual([
      'mailhost.example.org\nsmtp-client',
      'relayhost.example.org\nsmtpd-server',
      `${hostile.commonName}\nca`,
    ]);
    const ends = rows.map(([, , end = '']) => end);
    expect(ends).toEqual(ends.toSorted());
    expect(ends.every((end) => /^\d{4}-\d\d-\d\d$/u.test(end))).toBe(true);
    expect(rows.map(([, , , days]) => days)).toEqual(['expired', '19', expect.stringMatching(/^\d{4}$/u)]);
    const widths = `[...document.querySelectorAll('.left')].map((one) => Number(one.getAttribute('width')))`;
    const [gone = 1, fresh = 0] = await browser.ask<number[]>(widths);
    expect([gone, Math.round(fresh)]).toEqual([0, 100]);
  });

  it.each([
    [1280, 'light', 'screen'],
    [1280, 'dark', 'screen'],
    [360, 'light', 'screen'],
    [360, 'dark', 'screen'],
    [800, 'light', 'print'],
  ] as const)('is accessible at %i pixels, %s, on %s', async (width, scheme, media) => {
    await browser.look({ width, scheme, media });
    await browser.open(page);
    await browser.ask(`${axe}; true`);
    const found = await browser.ask<unknown[]>(
      `axe.run().then(({ violations, passes }) => [passes.length, ...violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])])`,
    );
    const [passes, ...violations] = found;
    expect(violations).toEqual([]);
    expect(passes).toBeGreaterThan(15);
    const [text = '', back = ''] = await browser.ask<string[]>(
      `[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]`,
    );
    expect(lightness(text) < lightness(back)).toBe(scheme === 'light');
    const shown = `[...document.querySelectorAll('button')].filter((one) => one.getClientRects().length > 0).length`;
    expect((await browser.ask<number>(shown)) > 0).toBe(media === 'screen');
    await browser.look({ width: 1280 });
  });

  it('shows hostile names as text, and makes no request', async () => {
    await browser.open(page);
    const count = (selector: string): Promise<number> =>
      browser.ask<number>(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
    expect([await count('script'), await count('img'), await count('h1'), await count('[onclick]')]).toEqual([
      1, 0, 1, 0,
    ]);
    const text = await browser.ask<string>('document.body.innerText');
    for (const name of [hostile.commonName, '<img src=x onerror=alert(1)>']) expect(text).toContain(name);
    expect(browser.complaints).toEqual([]);
    expect(browser.requests.filter((url) => !url.startsWith(pathToFileURL(project.home).href))).toEqual([]);
    // Even if something got in, the policy would not let it run or load.
    const forbidden = await browser.ask<string[]>(`new Promise((resolve) => {
      const found = [];
      document.addEventListener('securitypolicyviolation', ({ blockedURI, effectiveDirective }) => {
        found.push(effectiveDirective + ' ' + blockedURI);
        if (found.length === 2) resolve(found.sort());
      });
      fetch('https://example.net/b').catch(() => 0);
      document.body.insertAdjacentHTML('beforeend', '<img src="https://example.net/a.png">');
    })`);
    expect(forbidden).toEqual(['connect-src https://example.net/b', 'img-src https://example.net/a.png']);
  });
});

it('has no secret in it, and the inverse and one section are pages too', async () => {
  const text = readFileSync(fileURLToPath(page), 'utf8');
  const secrets = filesBelow(join(project.folder, hostile.folder))
    .filter((path) => path.endsWith('.key.pem'))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n').slice(1, -2));
  expect(secrets.length).toBeGreaterThan(5);
  expect(secrets.filter((line) => text.includes(line))).toEqual([]);
  expect(readdirSync(project.home).filter((name) => name.startsWith('page')).length).toBeGreaterThan(0);
  for (const [args, titles] of [
    [['mailhost', '--undo'], /Take it all back|undo|back/iu],
    [['mailhost', '--section', 'verify'], /<h3>/u],
  ] as const) {
    expect(readFileSync(fileURLToPath(await write(...args)), 'utf8')).toMatch(titles);
  }
});

it('is refused for a fleet, which nobody reads', async () => {
  const fleet = makeProject(
    smallSettings({ smtpClients: Array.from({ length: 41 }, (_, at) => ({ hostname: `c${at}` })) }),
  );
  succeed(await fleet.run(['make', '--quiet']));
  const refused = await fleet.run(['show', '--format', 'html']);
  expect([refused.status, refused.stdout]).toEqual([2, '']);
  expect(refused.stderr).toMatch(
    /a page of 42 hosts is too long[^]*hint: relaycerts show HOST --format html > page\.html/u,
  );
  succeed(await fleet.run(['show', 'c1', 'relayhost', '--format', 'html']));
  fleet.remove();
});
