// The built program with almost valid input: standard input, settings, ledger and certificates. It ends with a
// meaningful exit code, in words and without a stack, and a run that refuses has written nothing.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutateBytes, Random } from '../support/fuzz-random.js';
import { mutateDer, mutateJson, readPem, writeOddPem } from '../support/fuzz-structures.js';
import { noteAsInstalled } from '../support/installed.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const seed = isDeep ? Date.now() % 2 ** 32 : 20_261_120;
const factor = isDeep ? 10 : 1;
const words = ['\0', '\n', '\u001b[2J', '"', '-----BEGIN ', '__proto__', '{', '1e999', '\ufeff'];
const certificate = 'certs/smtp-client/mailhost.example.org.crt.pem';
const ledger = 'certs/ca/issued.jsonl';

let made: Project;
let pem: Buffer;
beforeAll(async () => {
  made = makeProject();
  expect((await made.run(['make'])).status).toBe(0);
  await noteAsInstalled(made);
  pem = Buffer.from(made.read(certificate));
});
afterAll(() => made.remove());

/** What must hold for every run; the input is printed if it does not. */
function expectAnswer({ status, stdout, stderr }: Result, input: Buffer, codes: readonly number[]): void {
  const which = `seed ${seed}, base64: ${input.toString('base64')}\n${stderr}`;
  expect(codes, which).toContain(status);
  expect(`${stdout}${stderr}`, which).not.toMatch(/\n\s+at |a bug in relaycerts|node:internal|ERR_/u);
  // Nothing in it moves the cursor.
  expect(stderr, which).not.toMatch(/(?!\n)\p{Cc}/u);
  if (status === 1 || status === 2) expect(stderr, which).toMatch(/^relaycerts: error: ./mu);
}

function mutateCertificate(random: Random): Buffer {
  if (random.chance(0.4)) return mutateBytes(pem, random, [pem], words);
  const ders = readPem(pem).map(({ der }) => der);
  const der = mutateDer(random.pick(ders), random, ders, words);
  return random.chance(0.3) ? der : writeOddPem('CERTIFICATE', der, random);
}

describe('the program, with input that is nearly right', () => {
  it('fingerprint reads standard input', async () => {
    const random = new Random(seed);
    const seen = new Set<number | null>();
    for (let count = 120 * factor; count > 0; count -= 1) {
      const input = mutateCertificate(random);
      const result = await made.run(['fingerprint', '-'], { input });
      expectAnswer(result, input, [0, 1]);
      expect(result.stdout === '', 'pins where it ends well, and only there').toBe(result.status !== 0);
      seen.add(result.status);
    }
    expect(seen).toEqual(new Set([0, 1]));
  });

  it('make reads settings, and writes nothing if it refuses them', async () => {
    const random = new Random(seed);
    const text = JSON.stringify(
      smallSettings({ subject: { country: 'NL' }, certificates: { validDays: 90 } }),
      undefined,
      2,
    );
    const project = makeProject(null);
    try {
      const before = treeOf(project.folder);
      const seen = new Set<number | null>();
      for (let count = 120 * factor; count > 0; count -= 1) {
        const input = random.chance(0.5)
          ? Buffer.from(mutateJson(text, random))
          : mutateBytes(Buffer.from(text), random, [Buffer.from(text)], words);
        project.write('settings.json', input);
        // It only prints what would be made: settings accepted here are accepted by chance.
        const result =
          count % 6 === 0 ? project.spawn(['make', '--passphrase-fd', '99']) : await project.run(['make', '--dry-run']);
        expectAnswer(result, input, [0, 2]);
        const { 'settings.json': _, ...tree } = treeOf(project.folder);
        expect(tree, input.toString('base64')).toEqual(before);
        expect(treeOf(project.home), input.toString('base64')).toEqual({});
        seen.add(result.status);
      }
      expect(seen).toEqual(new Set([0, 2]));
    } finally {
      project.remove();
    }
  });

  it('status reads ledger and certificates, and leaves them as they are', async () => {
    const random = new Random(seed);
    const files = [ledger, certificate, 'certs/ca/example.org-ca.crt.pem'];
    const whole = new Map(files.map((file) => [file, Buffer.from(made.read(file))]));
    const seen = new Set<number | null>();
    for (let count = 100 * factor; count > 0; count -= 1) {
      const file = random.pick(files);
      const bytes = whole.get(file) ?? Buffer.alloc(0);
      const lines = bytes.toString().trim().split('\n');
      const input =
        file === ledger
          ? random.chance(0.6)
            ? Buffer.from(lines.map((line) => mutateJson(line, random).replaceAll('\n', '')).join('\n'))
            : mutateBytes(bytes, random, [bytes], words)
          : mutateCertificate(random);
      made.write(file, input);
      const before = treeOf(made.folder);
      const result = await made.run(['status', ...(random.chance(0.3) ? ['--json'] : [])]);
      expectAnswer(result, input, [0, 1, 3]);
      expect(treeOf(made.folder)).toEqual(before);
      made.write(file, bytes);
      seen.add(result.status);
    }
    expect(seen.size, 'more than one exit code').toBeGreaterThan(1);
  });
});
