// The progress of long work, on standard error: a bar on a terminal, a line every ten seconds in a log. Work that takes
// less than a second shows nothing. It has no timer: the work feeds it, and between two steps signals are handled too.

export interface Progress {
  /** Work with this many parts begins; `what` names them. */
  begin(what: string, total: number): void;
  /** One more part is done. Waits now and then, so that Ctrl-C works in the middle of a fleet. */
  add(): Promise<void>;
  /** The work ended, successfully or not. */
  end(): void;
}

export interface ProgressOutput {
  readonly isTerminal: boolean;
  readonly columns: number;
  /** Replaces the previous bar. */
  readonly draw: (bar: string) => void;
  readonly erase: () => void;
  readonly say: (line: string) => void;
}

/** Seconds: before the first bar, between two bars, between two lines, between two returns to the event loop. */
const [firstBar, nextBar, nextLine, nextTurn] = [1, 0.1, 10, 0.05];
const barWidth = 20;

let lastTurn = 0;

/** For a long loop that does not wait: handles signals and other events now and then. */
export async function giveTurn(): Promise<void> {
  if (process.uptime() - lastTurn < nextTurn) return;
  await new Promise((resolve) => setImmediate(resolve));
  lastTurn = process.uptime();
}

/** `now` is a monotonic clock in seconds. */
export function makeProgress(output: () => ProgressOutput, now: () => number = () => process.uptime()): Progress {
  let state = { what: '', total: 0, done: 0, began: 0, showed: 0 };
  return {
    begin: (what, total) => {
      const at = now();
      state = { what, total, done: 0, began: at, showed: at };
    },
    add: async () => {
      state.done += 1;
      await giveTurn();
      const at = now();
      const isFirst = state.showed === state.began;
      const { isTerminal, columns, draw, say } = output();
      if (at - state.showed < (isTerminal ? (isFirst ? firstBar : nextBar) : nextLine)) return;
      state.showed = at;
      const { what, total, done } = state;
      const far = describe(done, total, at - state.began);
      if (!isTerminal) say(`${what}: ${far}`);
      else {
        const filled = '#'.repeat(Math.floor((done / total) * barWidth)).padEnd(barWidth, '-');
        draw(`${what} [${filled}] ${far}`.slice(0, columns - 1));
      }
    },
    end: () => {
      if (state.showed !== state.began) output().erase();
      state = { ...state, showed: state.began };
    },
  };
}

/** `420 of 1000, 35/s, 17 s left`. */
function describe(done: number, total: number, seconds: number): string {
  const rate = done / seconds;
  const each =
    rate >= 10 ? `${Math.round(rate)}/s` : rate >= 0.1 ? `${rate.toFixed(1)}/s` : `${(rate * 60).toFixed(1)}/min`;
  return `${done} of ${total}, ${each}, ${durationText((total - done) / rate)} left`;
}

function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
