// How far V8's heap grows before garbage is collected. By default it is up to four times what is in use, which a fleet
// of a hundred thousand would feel.

let isSlow = false;

/** From now on, no more than to twice that. */
export function growSlowly(): void {
  if (isSlow) return;
  isSlow = true;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--heap-growing-percent=100');
  // V8 takes compiled code only under the flags that it was made with, and bin/load.js writes it at the end.
  process.prependListener('exit', () => {
    setFlagsFromString('--heap-growing-percent=0');
  });
}
