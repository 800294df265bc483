// The block at the end of the output of make and similar commands: its commands, as a person copies them. The words
// around them are for people; a test asserts the commands, and runs them.

/** The lines indented by two columns, in order. */
export function commandsIn(stdout: string): readonly string[] {
  // Without a pattern's ^ and $, because a path may contain U+2028.
  return stdout.split('\n').flatMap((line) => (/^ {2}\S/u.test(line) ? [line.slice(2)] : []));
}

/** The command that installs hosts; each is named as typed, none if it is about all. */
export function installs(...names: readonly string[]): string {
  return ['relaycerts deploy', ...names].join(' ');
}

/** A printed command without a terminal, where deploy would ask. */
export function unasked(command: string): string {
  return /^relaycerts (?:--settings (?:'[^']*'|\S+) )?deploy\b/u.test(command) ? `${command} --yes` : command;
}
