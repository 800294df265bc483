// A TLS handshake with a relay every 50 ms, without a client certificate, until standard input ends. It runs in the
// network of a lab machine, so it is a separate program. Each line has the serial that was served and whose key the
// handshake proved, or what came instead.

import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const [host = '', address = '', port = '', caFile = ''] = process.argv.slice(2);
const ca = readFileSync(caFile);
/** The relay accepts ten connections from an address at a time. */
const mostOpen = 6;
let open = 0;

function shake(): void {
  open += 1;
  const socket = connectTcp({ host: address, port: Number(port) });
  // The upper one of the two: Node 20 crashes if the socket below TLS is destroyed first.
  let top: Socket = socket;
  let isOver = false;
  const end = (word: string): void => {
    if (isOver) return;
    isOver = true;
    open -= 1;
    process.stdout.write(`${word}\n`);
    setImmediate(() => top.destroy());
  };
  // Only the part before the handshake is lines of text.
  let text = '';
  const commands = ['EHLO watcher.example.org\r\n', 'STARTTLS\r\n'];
  const read = (chunk: Buffer): void => {
    text += chunk.toString();
    if (!/^\d{3} .*\r\n$/mu.test(text)) return;
    const reply = text;
    text = '';
    if (!reply.startsWith('2')) {
      end(`reply ${reply.trim()}`);
      return;
    }
    const next = commands.shift();
    if (next !== undefined) {
      socket.write(next);
      return;
    }
    socket.off('data', read);
    const secure = connectTls({ socket, ca, servername: host }, () => {
      end(`served ${secure.getPeerCertificate().serialNumber.toLowerCase()}`);
    });
    top = secure;
    secure.on('error', (error: NodeJS.ErrnoException) => end(`error ${error.code ?? ''} ${error.message}`));
    secure.on('close', () => end('closed'));
  };
  socket.on('data', read);
  socket.on('error', (error: NodeJS.ErrnoException) => end(`error ${error.code ?? ''} ${error.message}`));
  socket.on('close', () => end('closed'));
}

const timer = setInterval(() => {
  if (open < mostOpen) shake();
}, 50);
process.stdin.resume().on('end', () => {
  clearInterval(timer);
  process.exit(0);
});
