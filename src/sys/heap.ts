// How much memory V8 takes before it collects garbage. Node's defaults are for speed: the heap may grow to four times
// what is in use, and new objects fill 48 to 96 MB. A fleet is made in half of that, for a few percent more time.

let isSmall = false;

/** From now on, the heap grows to no more than twice what is in use, and the space for new objects does not grow. */
export function keepHeapSmall(): void {
  if (isSmall) return;
  isSmall = true;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const setGrowth = (percent: number, factor: number): void => {
    setFlagsFromString(`--heap-growing-percent=${percent}`);
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  };
  setGrowth(100, 1);
  // V8's defaults again, before bin/load.js writes compiled code: the next start refuses it if its flags differ.
  process.prependOnceListener('exit', () => setGrowth(0, 2));
}
