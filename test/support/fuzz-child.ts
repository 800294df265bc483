// The fuzz run itself, in its own process with a small heap: argv has a file of seeds, a random seed, a multiple of the
// daily number of inputs, and a file that always holds the current input, for anybody who finds this process dead.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Random } from './fuzz-random.js';
import { fuzzedParsers, isRefusal, type FuzzedParser } from './fuzz-parsers.js';
import type { Seeds } from './fuzz-seeds.js';
import { slowBytes, slowTexts } from './fuzz-slow.js';

export interface ParserReport {
  readonly name: string;
  accepted: number;
  refused: number;
  /** Milliseconds of the slowest input. */
  slowest: number;
  total: number;
}

export interface FuzzReport {
  readonly parsers: readonly ParserReport[];
  readonly failures: readonly { readonly parser: string; readonly why: string; readonly input: string }[];
  /** Peak resident memory in MiB. */
  readonly peak: number;
  /** What was added to Object.prototype and its like since the start. */
  readonly polluted: readonly string[];
}

const [seedFile = '', seed = '0', factor = '1', workFile = '', only = ''] = process.argv.slice(2);
const mostFailures = 3;
const longestPrinted = 4096;

function readSeeds(): Seeds {
  const texts = JSON.parse(readFileSync(seedFile, 'utf8')) as Record<keyof Seeds, readonly string[]>;
  const files = Object.entries(texts).map(([kind, all]) => [kind, all.map((text) => Buffer.from(text, 'base64'))]);
  return Object.fromEntries(files) as Seeds;
}

const prototypes = [Object.prototype, Array.prototype, String.prototype, Function.prototype, Map.prototype];
/** The time limit of one input, in milliseconds. */
const limit = 1000;

const membersOf = (): readonly string[] => prototypes.flatMap((each) => Reflect.ownKeys(each).map(String));

const work = openSync(workFile, 'w');
function note(name: string, input: Buffer): void {
  const head = Buffer.from(`${name}\n`);
  ftruncateSync(work, 0);
  writeSync(work, Buffer.concat([head, input]), 0, head.length + input.length, 0);
}

const failures: { parser: string; why: string; input: string }[] = [];

async function tryOne(
  { name, parse }: FuzzedParser,
  input: Buffer,
  report: ParserReport,
  called = 'an input',
): Promise<void> {
  note(name, input);
  const copy = Buffer.from(input);
  const time = async (): Promise<number> => {
    const start = performance.now();
    const usage = process.cpuUsage();
    try {
      if (await parse(input)) report.accepted += 1;
      else report.refused += 1;
    } catch (error) {
      if (!isRefusal(error, name)) throw error;
      report.refused += 1;
    }
    const { user, system } = process.cpuUsage(usage);
    // On a busy machine only this process's own time counts.
    return Math.min(performance.now() - start, (user + system) / 1000);
  };
  try {
    let took = await time();
    report.total += took;
    // If the machine was busy with other work, it gets another chance.
    if (took > limit) took = Math.min(took, await time());
    report.slowest = Math.max(report.slowest, took);
    if (took > limit) throw new Error(`took ${took.toFixed(0)} ms`);
    if (!input.equals(copy)) throw new Error('the input was changed');
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const text = input.toString('base64');
    const shown = text.length <= longestPrinted ? text : `${text.slice(0, longestPrinted)}... (${input.length} octets)`;
    failures.push({ parser: name, why: `${called}: ${why.slice(0, 1500)}`, input: shown });
  }
}

const before = membersOf();
const reports: ParserReport[] = [];
for (const parser of fuzzedParsers(readSeeds(), dirname(workFile)).filter(({ name }) => name.includes(only))) {
  const random = new Random(Number(seed));
  const report: ParserReport = { name: parser.name, accepted: 0, refused: 0, slowest: 0, total: 0 };
  const failed = failures.length;
  const isSound = (): boolean => failures.length - failed < mostFailures;
  for (const [name, input] of Object.entries(parser.hard())) await tryOne(parser, input, report, name);
  for (const size of parser.sizes) {
    for (const text of slowTexts(size)) if (isSound()) await tryOne(parser, Buffer.from(text), report);
    for (const bytes of slowBytes(size)) if (isSound()) await tryOne(parser, bytes, report);
  }
  for (let count = parser.count * Number(factor); count > 0 && isSound(); count -= 1) {
    await tryOne(parser, parser.make(random), report);
  }
  reports.push(report);
}
closeSync(work);
const found = membersOf();
const result: FuzzReport = {
  parsers: reports,
  failures,
  peak: Math.round(process.resourceUsage().maxRSS / 1024),
  polluted: found.filter((member, index) => before[index] !== member && !before.includes(member)),
};
process.stdout.write(JSON.stringify(result));
