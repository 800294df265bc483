// The catalogue of findings: ids, texts and cures that match, and the pages and log lines made from it or tied to it.

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fillIn, findingKinds, findingOf } from '../../src/findings/finding.js';
import { logKinds } from '../../src/log/log-lines.js';
import { states } from '../../src/plan/states.js';

const kinds = [...findingKinds.values()];
const namesIn = (text: string): readonly string[] => [...text.matchAll(/\{(\w+)\}/gu)].map(([, name = '']) => name);

describe('a kind of finding', () => {
  it('has an id of its own', () => {
    const ids = [...readFileSync('src/findings/catalogue.json', 'utf8').matchAll(/^ {4}"id": "(.*)"/gmu)];
    expect(ids.map(([, id]) => id)).toEqual([...findingKinds.keys()]);
  });

  it.each(kinds.map((kind) => [kind.id, kind] as const))('%s: one sentence, and a cure of its words', (id, kind) => {
    const { text, cure, severity } = kind;
    expect(id).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/u);
    expect(text).not.toMatch(/\.$|\. |\n/u);
    expect(['error', 'warning', 'unknown']).toContain(severity);
    const known = new Set([...namesIn(text), 'host']);
    for (const step of cure) {
      expect(Object.keys(step)).toHaveLength(1);
      for (const part of Object.values(step))
        expect(namesIn(String(part)).filter((name) => !known.has(name))).toEqual([]);
    }
  });

  it('is one that check or a log can find', () => {
    const logged = new Set(logKinds.map(({ id }) => id));
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const source = files.map((file) => readFileSync(`src/${file}`, 'utf8')).join('');
    const isUsed = (id: string): boolean => logged.has(id) || id.startsWith('state-') || source.includes(`'${id}'`);
    expect(kinds.map(({ id }) => id).filter((id) => !isUsed(id))).toEqual([]);
  });

  it('is there for every state of a certificate that needs care', () => {
    const inCare = states.filter((state) => state !== 'ok' && state !== 'revoked');
    expect(inCare.filter((state) => !findingKinds.has(`state-${state}`))).toEqual([]);
  });

  it('is there for every kind of line in a log', () => {
    expect(logKinds.filter(({ id }) => !findingKinds.has(id)).map(({ id }) => id)).toEqual([]);
  });
});

describe('a finding', () => {
  it("shows a host's text on one line, cut and without cursor movement", () => {
    const { message } = findingOf('postfix-check', 'a.example.org', { found: `x\u001B[2J\ny\u202E${'z'.repeat(999)}` });
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(message.length).toBeLessThan(300);
  });

  it('puts no value of another into a value', () => {
    expect(fillIn('{found} {host}', { found: '{host}', host: 'h' })).toBe('{host} h');
  });

  it('needs its values, and a kind of the catalogue', () => {
    expect(() => findingOf('postfix-check', 'h')).toThrow('no value for {found}');
    expect(() => findingOf('no-such-kind', 'h')).toThrow('no-such-kind');
  });
});

it('docs/findings.md is made from the catalogue', () => {
  const { status, stderr } = spawnSync('node', ['scripts/write-findings.mjs', '--check'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

it('docs/findings.md has commands that a shell reads as one word each', () => {
  const commands = [...readFileSync('docs/findings.md', 'utf8').matchAll(/^ssh root@HOST (.*)$/gmu)];
  expect(commands.length).toBeGreaterThan(20);
  const counts = commands.map(([, command = '']) =>
    spawnSync('/bin/sh', ['-c', `set -- ${command}\necho $#`], { encoding: 'utf8', env: { PATH: '' } }).stdout.trim(),
  );
  expect(new Set(counts)).toEqual(new Set(['1']));
});

it('docs/troubleshooting.md names the log that a line is from', () => {
  const sections = [
    ...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(
      /^In the log of the (relay|home host)[^]*?^```\n(.*)/gmu,
    ),
  ];
  expect(sections.length).toBeGreaterThan(20);
  const wrong = sections.filter(([, place, line = '']) =>
    line.includes(place === 'relay' ? ' mailhost ' : ' relayhost postfix'),
  );
  expect(wrong.map(([, , line]) => line)).toEqual([]);
});
