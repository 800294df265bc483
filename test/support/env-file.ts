// The variables of an env file, as a container gets them. A value that Docker and Compose would read differently is an
// error.

/** The variables of an env file. Docker takes a line as it is; Compose gives these characters a meaning. */
export function variablesOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=([^"'$#\\`]*)$/u.exec(line) ?? [];
      if (name === undefined || value === undefined)
        throw new Error(`Docker and Compose read this differently: ${line}`);
      return [name, value];
    }),
  );
}
