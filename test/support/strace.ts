// strace's output, with its lines joined again.

/** The lines of a trace; strace splits a line in two if another thread calls meanwhile, and those are joined. */
export function joinedLines(trace: string): readonly string[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, pid = '', call = ''] = /^(\d+) +(.*)$/u.exec(line) ?? [];
    const rest = /^<\.\.\. \w+ resumed>(.*)$/u.exec(call)?.[1];
    if (rest !== undefined) return [`${begun.get(pid) ?? line}${rest}`];
    if (!call.endsWith('<unfinished ...>')) return [line];
    begun.set(pid, line.slice(0, -'<unfinished ...>'.length));
    return [];
  });
}
