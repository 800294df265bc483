// Debian's Chromium without a window, driven through the pipe of its DevTools protocol: a page is opened, measured,
// clicked and typed into as a person does it. It has its own profile, and every request it makes is recorded.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { requireTools } from './require-tools.js';

export interface Browser {
  /** Opens a page and waits until it is loaded. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page; a promise is waited for. @throws Error - what the page throws */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the test knows what it asks for
  ask<T>(expression: string): Promise<T>;
  /** Sets the size of the window, and the page's colour scheme and medium. */
  look(request: {
    readonly width: number;
    readonly scheme?: 'light' | 'dark';
    readonly media?: 'screen' | 'print';
  }): Promise<void>;
  /** Presses a key, by its name in the protocol: `Tab`, `Enter`, ` `. */
  press(key: 'Tab' | 'Enter' | ' '): Promise<void>;
  /** Clicks in the middle of the first element that the selector names. */
  click(selector: string): Promise<void>;
  /** The requests so far. */
  readonly requests: readonly string[];
  /** The errors in the page so far: exceptions, and what its policy blocked. */
  readonly complaints: readonly string[];
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

const keyCodes = { Tab: 9, Enter: 13, ' ': 32 } as const;
const keyTexts = { Tab: '', Enter: '\r', ' ': ' ' } as const;

/** @throws Error naming the Debian package if there is no Chromium */
export async function openBrowser(): Promise<Browser> {
  requireTools('chromium');
  const profile = mkdtempSync(join(tmpdir(), 'relaycerts-browser-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const child = spawn(
    'chromium',
    [...flags, ...quiet, '--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: profile } },
  );
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const [input, output] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const waiting = new Map<number, (message: Message) => void>();
  const listeners = new Map<string, () => void>();
  const requests: string[] = [];
  const complaints: string[] = [];
  const hear = ({ id, method = '', params = {}, ...rest }: Message): void => {
    if (id !== undefined) waiting.get(id)?.({ ...rest });
    if (method === 'Network.requestWillBeSent') requests.push((params['request'] as { url: string }).url);
    if (['Runtime.exceptionThrown', 'Log.entryAdded', 'Runtime.consoleAPICalled'].includes(method)) {
      complaints.push(JSON.stringify(params));
    }
    listeners.get(method)?.();
  };
  let rest = '';
  output.setEncoding('utf8');
  output.on('data', (chunk: string) => {
    const parts = `${rest}${chunk}`.split('\0');
    rest = parts.pop() ?? '';
    for (const part of parts) hear(JSON.parse(part) as Message);
  });
  let count = 0;
  const call = (method: string, params: object = {}, sessionId?: string): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      const id = (count += 1);
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      void ended.then(() => reject(new Error(`${method}: the browser ended`)));
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  const { targetInfos } = await call('Target.getTargets');
  const target = (targetInfos as readonly { type: string; targetId: string }[]).find(({ type }) => type === 'page');
  const { sessionId } = await call('Target.attachToTarget', { targetId: target?.targetId, flatten: true });
  const inPage = (method: string, params: object = {}) => call(method, params, String(sessionId));
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await inPage(`${domain}.enable`);
  await inPage('Emulation.setFocusEmulationEnabled', { enabled: true });
  await call('Browser.grantPermissions', { permissions: ['clipboardReadWrite', 'clipboardSanitizedWrite'] });

  const ask = async <T>(expression: string): Promise<T> => {
    const options = { awaitPromise: true, returnByValue: true, userGesture: true };
    const { result, exceptionDetails } = await inPage('Runtime.evaluate', { expression, ...options });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  return {
    ask,
    requests,
    complaints,
    open: async (url) => {
      const loaded = new Promise<void>((resolve) => listeners.set('Page.loadEventFired', resolve));
      await inPage('Page.navigate', { url });
      await loaded;
    },
    look: async ({ width, scheme = 'light', media = 'screen' }) => {
      const metrics = { width, height: 800, deviceScaleFactor: 1, mobile: false };
      await inPage('Emulation.setDeviceMetricsOverride', metrics);
      const features = [{ name: 'prefers-color-scheme', value: scheme }];
      await inPage('Emulation.setEmulatedMedia', { media, features });
    },
    press: async (key) => {
      const event = { key, windowsVirtualKeyCode: keyCodes[key], text: keyTexts[key] };
      for (const type of ['keyDown', 'keyUp']) await inPage('Input.dispatchKeyEvent', { type, ...event });
    },
    click: async (selector) => {
      const place = `(() => { const one = document.querySelector(${JSON.stringify(selector)}); one.scrollIntoView({ block: 'center' }); const { x, y, width, height } = one.getBoundingClientRect(); return [x + width / 2, y + height / 2]; })()`;
      const [x, y] = await ask<readonly number[]>(place);
      for (const type of ['mousePressed', 'mouseReleased']) {
        await inPage('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
      }
    },
    close: async () => {
      void call('Browser.close').catch(() => undefined);
      await ended;
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
