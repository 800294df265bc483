// SIGKILL in the middle of each command that writes. The next command, a reader or a writer, finds the old state whole or
// the new one, and says that it finished the change exactly if that was committed. Daily at two points of each command,
// with RELAYCERTS_DEEP=1 at every call that changes files. A power failure, which loses what was not synced, is tried on
// a simulated disk (test/property/transaction.test.ts).

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey, readPrivateKey } from 'openpgp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseIndexes, nameOf, runKilled, runWhole, type WholeRun } from '../support/faults.js';
import { leftOver, shapeOf, tooWide, wrongIn } from '../support/invariants.js';
import { runTool } from '../support/openssl.js';
import { copyOf, makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const clients = (...hostnames: readonly string[]) => ({ smtpClients: hostnames.map((hostname) => ({ hostname })) });
const finished = 'finished an interrupted change';

let made: Project;
beforeAll(async () => {
  requireTools('strace', 'openssl');
  made = makeProject(smallSettings(clients('mailhost', 'second')));
  succeed(await made.run(['make']));
});
afterAll(() => made.remove());

interface Command {
  readonly what: string;
  readonly args: readonly string[];
  /** Brings a copy of a made project to where the command has its work to do. */
  readonly prepare?: (project: Project) => Promise<void>;
  /** Starts without anything made. */
  readonly isFirst?: true;
  /** What a make does before the change: nothing, what the command does, or something else. */
  readonly make?: 'nothing' | 'the same' | 'something else';
}

const run =
  (...lines: readonly string[]) =>
  async (project: Project): Promise<void> => {
    for (const line of lines) succeed(await project.run(line.split(' ')));
  };

async function pinCertificates(project: Project): Promise<void> {
  project.settings(smallSettings({ ...clients('mailhost', 'second'), postfix: { pin: 'certificate' } }));
  await run('make')(project);
}

async function addRecipient(project: Project): Promise<void> {
  const { publicKey } = await generateKey({ userIDs: [{ name: 'Somebody' }], format: 'armored' });
  const armoredKey = readFileSync(join(project.home, '.config/relaycerts/operator-key.asc'), 'utf8');
  project.write('somebody.asc', publicKey);
  project.write('operator.asc', (await readPrivateKey({ armoredKey })).toPublic().armor());
  const recipients = ['./somebody.asc', './operator.asc'];
  project.settings(smallSettings({ ...clients('mailhost', 'second'), passphrase: { recipients } }));
}

function writeRequest(project: Project): Promise<void> {
  project.settings(smallSettings(clients('mailhost', 'second', 'third')));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const { status } = runTool('openssl', ['req', '-new', ...key, '-subj', '/CN=third', '-out', project.path('csr')]);
  expect(status).toBe(0);
  return Promise.resolve();
}

const commands: readonly Command[] = [
  { what: 'a first make', args: ['make'], isFirst: true, make: 'the same' },
  {
    what: 'make of one client more',
    args: ['make'],
    prepare: async (project) => project.settings(smallSettings(clients('mailhost', 'second', 'third'))),
    make: 'the same',
  },
  { what: 'renew --force', args: ['renew', '--force'] },
  { what: 'renew with the certificate pinned', args: ['renew', '--force', 'mailhost'], prepare: pinCertificates },
  { what: 'renew --rekey', args: ['renew', '--rekey', 'mailhost'] },
  { what: 'retire', args: ['retire'], prepare: run('renew --rekey mailhost') },
  { what: 'revoke', args: ['revoke', 'mailhost'], prepare: run('renew --rekey mailhost') },
  { what: 'renew --ca', args: ['renew', '--ca'] },
  { what: 'renew --ca --rekey, stage 1', args: ['renew', '--ca', '--rekey'] },
  { what: 'renew --ca --rekey, stage 2', args: ['renew', '--ca', '--rekey'], prepare: run('renew --ca --rekey') },
  {
    what: 'renew --ca --rekey, stage 3',
    args: ['renew', '--ca', '--rekey'],
    prepare: run('renew --ca --rekey', 'renew --ca --rekey'),
  },
  { what: 'passphrase change', args: ['passphrase', 'change'] },
  { what: 'make for other recipients', args: ['make'], prepare: addRecipient, make: 'the same' },
  { what: 'sign', args: ['sign', 'csr', '--host', 'third'], prepare: writeRequest, make: 'something else' },
  { what: 'clean', args: ['clean', '--yes'] },
  { what: 'clean --all', args: ['clean', '--yes', '--all'], prepare: run('passphrase change') },
];

const readers: readonly (readonly string[])[] = [['status'], ['show'], ['fingerprint']];

describe('after SIGKILL, the old state or the new one', () => {
  it.each(commands)('$what', { timeout: 3_600_000 }, async ({ args, prepare, isFirst, make = 'nothing' }) => {
    const base = isFirst ? makeProject() : copyOf(made);
    await prepare?.(base);
    const scene = { base, args };
    const whole = await runWhole(scene);
    const nexts = [...readers, args, ['make']];
    try {
      expect(await wrongIn(whole.after)).toEqual([]);
      const turn = commands.findIndex((command) => command.args === args);
      for (const [count, index] of chooseIndexes(whole, turn).entries()) {
        const victim = copyOf(base);
        const point = whole.points[index];
        if (point === undefined) throw new Error(`there is no call ${index}`);
        await runKilled(scene, victim, point);
        const next = nexts[(turn + count) % nexts.length] ?? [];
        const wrong = await judgeNext({ base, whole, victim, args, make }, index, next);
        expect([nameOf(point), next, wrong]).toEqual([nameOf(point), next, []]);
        victim.remove();
      }
    } finally {
      base.remove();
      whole.after.remove();
    }
  });
});

interface Case {
  readonly base: Project;
  readonly whole: WholeRun;
  readonly victim: Project;
  readonly args: readonly string[];
  readonly make: NonNullable<Command['make']>;
}

/** What is wrong after a kill at this point, and after the commands that follow. */
async function judgeNext(one: Case, index: number, next: readonly string[]): Promise<readonly string[]> {
  const { base, whole, victim, args, make } = one;
  const wrong = [...tooWide(victim)];
  const isCutOff = existsSync(victim.path('.relaycerts.change/journal'));
  const isNew = index > whole.commit;
  if (isCutOff !== (isNew && index <= whole.end)) wrong.push('there is a journal, or there is none');
  const check = (what: string, isRight: boolean): void => void (isRight || wrong.push(what));
  const old = shapeOf(base, base);
  const done = shapeOf(whole.after, base);
  const expectShape = (expected: string, what: string): void => {
    const found = shapeOf(victim, base);
    check(`${what}: ${found} instead of ${expected}`, found === expected);
  };

  const isReader = readers.includes(next);
  const first = await victim.run(next);
  check(told(next, first), first.stderr.includes(finished) === isCutOff);
  // A reader may find something to care for, and a command has nothing left to do when it has been carried out.
  const isFine = isReader ? first.status === 3 || first.stderr.includes('hint: relaycerts make\n') : isNew;
  check(told(next, first), first.status === 0 || (isFine && first.status !== 70));
  if (isNew && isReader) expectShape(done, 'the new state');
  if (!isNew && isReader) expectShape(old, 'the old state');
  if (!isNew && next === args) expectShape(done, 'the command, once more');

  const again = await victim.run(['make']);
  check(told(['make'], again), again.status === 0 && !again.stderr.includes(finished));
  if (make === 'the same') expectShape(done, 'the state after make');
  if (make === 'nothing' && !isNew && next !== args) expectShape(old, 'the old state, with nothing to make');
  if (make === 'nothing' && isNew && isReader && !args.includes('clean')) expectShape(done, 'the new state after make');
  return [...wrong, ...leftOver(victim), ...(await wrongIn(victim))];
}

function told(args: readonly string[], { status, stderr }: Result): string {
  return `${args.join(' ')} ended with ${String(status)}: ${stderr}`;
}
