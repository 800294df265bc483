// The program's way in and out: the only reader of process.argv, and the one that sets the exit code.

import { runProgram } from './cli.js';
import { renderError } from './errors.js';
import { outputError } from './sys/file-error.js';
import { dropLeftovers } from './sys/leftovers.js';

// What Node says of its own features (Node 20.19 calls Web Crypto's Ed25519 experimental) is for developers alone.
process.removeAllListeners('warning');
process.on('warning', ({ stack, message }) => {
  if (process.env['RELAYCERTS_DEBUG'] === '1') process.stderr.write(`${stack ?? message}\n`);
});

// A reader that goes away (relaycerts show | head) is no error, and changes no exit code; a full disk is one.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.exitCode = 1;
  process.stderr.write([...renderError(outputError(error)), ''].join('\n'));
});
// Progress that nobody reads must not stop the work half-way.
process.stderr.on('error', () => undefined);

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    dropLeftovers();
    process.stderr.write('\nrelaycerts: interrupted; what was made stays, and the same command goes on from it\n');
    process.exit(status);
  });
}

await runProgram(process.argv.slice(2), process);
