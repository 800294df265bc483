// The program's way in and out: the one place where signals end it, and where what Node says of itself is silenced. What
// a command does begins in cli.ts.

import { runProgram } from './cli.js';
import { interruptWork } from './sys/interrupt.js';

// What Node says of its own features (Node 20.19 calls Web Crypto's Ed25519 experimental) is for developers alone.
process.removeAllListeners('warning');
process.on('warning', ({ stack, message }) => {
  if (process.env['RELAYCERTS_DEBUG'] === '1') process.stderr.write(`${stack ?? message}\n`);
});

// Whether standard output took what was written is asked when it matters (flushOutput), and at the end.
process.stdout.on('error', () => undefined);
// Progress that nobody reads must not stop the work half-way.
process.stderr.on('error', () => undefined);

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    if (interruptWork()) return;
    process.stderr.write('\nrelaycerts: interrupted; nothing is half done; run the same command to go on\n');
    // What the terminal needs at the end.
    process.emit('exit', status);
    // Not process.exit, which waits for all keys that are asked of the thread pool: minutes, if they are RSA.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

void runProgram(process.argv.slice(2), process);
